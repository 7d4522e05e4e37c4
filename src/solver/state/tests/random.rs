//! Random graphs in random orders of completion: all of them end.

use proptest::prelude::*;

use super::*;

/// One vertex of a random graph: which kind, and from which earlier ones.
type Shape = (u8, prop::sample::Index, prop::sample::Index);

fn random_graph(shapes: &[Shape]) -> Definition {
    let mut builder = DefinitionBuilder::new();
    let mut files = vec![Input::Scratch];
    let context = builder.add(local()).expect("the graph is in order");
    for (number, (kind, below, source)) in shapes.iter().enumerate() {
        let below = *below.get(&files);
        let name = number.to_string();
        let made = match kind % 4 {
            0 => exec(&name, below),
            1 => copy(&name, below, Input::Vertex(context)),
            2 => copy(&name, below, *source.get(&files)),
            _ => mounting(&name, below, &[*source.get(&files), below, files[0]]),
        };
        files.push(Input::Vertex(
            builder.add(made).expect("the graph is in order"),
        ));
    }
    builder.finish()
}

/// Answers an action as a cache would that has the same result under another key.
fn as_another(action: &Action, number: u16) -> Verdict {
    let key = content_key(&format!("another {}", number % 4));
    match (action, hit(action)) {
        (Action::LookUp { .. }, _) => Verdict::HitAs(key),
        (Action::Run { key: Some(_), .. }, _) => Verdict::FinishedAs(key),
        (_, other) => other,
    }
}

/// Tells whether a command that mounts nothing runs under the key that its inputs give now.
fn is_keyed_by_its_inputs(machine: &Machine<'_>, action: &Action) -> bool {
    let Action::Run {
        vertex,
        key: Some(key),
        ..
    } = action
    else {
        return true;
    };
    let vertex = machine.definition.vertex(*vertex);
    let is_plain = matches!(&vertex.op, Op::Exec(exec) if exec.mounts.is_empty());
    let map = CacheMap::of(vertex).unwrap();
    !is_plain || *key == map.key(&machine.key_inputs(action.vertex()))
}

proptest! {
    /// Any graph, with any answers in any order of completion, ends; no vertex runs twice, and what a
    /// vertex needs is done before it runs.
    #[test]
    fn any_graph_ends_in_any_order(
        shapes in prop::collection::vec(any::<Shape>(), 1..25),
        choices in prop::collection::vec(any::<(u16, u8)>(), 1..200),
        targets in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
    ) {
        let definition = random_graph(&shapes);
        let ids: Vec<_> = definition.ids().collect();
        let targets: Vec<_> = targets.iter().map(|target| *target.get(&ids)).collect();
        let mut machine = Machine::new(&definition, Reuse::Yes);
        let mut waiting = machine.start(&targets);
        let mut choices = choices.iter().cycle();
        let mut ran = vec![0; definition.len()];
        while !waiting.is_empty() {
            let (place, chance) = choices.next().copied().unwrap_or_default();
            let action = waiting.swap_remove(usize::from(place) % waiting.len());
            let id = action.vertex();
            if let Action::Run { .. } = action {
                ran[id.index()] += 1;
                for input in definition.input_ids(id) {
                    let is_done = matches!(machine.phase(input), Phase::Done { .. });
                    prop_assert!(is_done, "{input:?} before {id:?}");
                }
                prop_assert!(is_keyed_by_its_inputs(&machine, &action));
            }
            let verdict = match chance {
                0..8 => Verdict::Failed,
                8..40 => as_another(&action, place),
                40..128 => hit(&action),
                _ => miss(&action),
            };
            waiting.extend(machine.step(id, verdict));
            prop_assert_eq!(machine.outstanding(), waiting.len());
        }
        prop_assert_eq!(machine.stalled(), vec![]);
        prop_assert!(ran.iter().all(|count| *count <= 1));
    }
}
