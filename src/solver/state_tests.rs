//! The machine on small graphs by hand, and on random graphs in random orders of completion.

use graph::{
    Archives, BindMount, CopyAction, CopySource, DefinitionBuilder, ExecMount, ExecOp, FileAction,
    FileOp, LocalSource, MountAccess, MountKey, NetworkMode, StepLabel, Vertex,
};
use oci::{Digest, Platform};
use proptest::prelude::*;

use super::*;

fn vertex(op: Op, inputs: Vec<Input>) -> Vertex {
    let platform = Platform::new("linux", "amd64");
    Vertex {
        op,
        inputs,
        platform,
        label: StepLabel::default(),
    }
}

fn exec(name: &str, input: Input) -> Vertex {
    let op = ExecOp {
        argv: vec![name.to_owned()],
        env: Vec::new(),
        working_directory: "/".to_owned(),
        user: String::new(),
        hostname: String::new(),
        network: NetworkMode::Default,
        files: Vec::new(),
        mounts: Vec::new(),
        sandbox: graph::SandboxSettings::default(),
    };
    vertex(Op::Exec(op), vec![input])
}

/// A command that mounts each of these, by its content.
fn mounting(name: &str, below: Input, sources: &[Input]) -> Vertex {
    let mut vertex = exec(name, below);
    vertex.inputs.extend(sources);
    let bind = |index| {
        ExecMount::Bind(BindMount {
            target: format!("/{index}"),
            input: index,
            source: "/".to_owned(),
            access: MountAccess::ReadOnly,
            keyed_by: MountKey::Content,
        })
    };
    if let Op::Exec(op) = &mut vertex.op {
        op.mounts = (1..=sources.len()).map(bind).collect();
    }
    vertex
}

fn copy(name: &str, below: Input, source: Input) -> Vertex {
    let action = CopyAction {
        sources: vec![CopySource::Path(name.to_owned())],
        destination: "/".to_owned(),
        owner: None,
        mode: None,
        exclude: Vec::new(),
        archives: Archives::Keep,
        link: false,
    };
    vertex(
        Op::File(FileOp {
            action: FileAction::Copy(action),
        }),
        vec![below, source],
    )
}

fn local() -> Vertex {
    let source = LocalSource {
        name: "context".to_owned(),
        ignore: Vec::new(),
    };
    vertex(Op::Source(SourceOp::Local(source)), Vec::new())
}

fn content_key(name: &str) -> CacheKey {
    let vertex = exec(name, Input::Scratch);
    let map = CacheMap::of(&vertex).expect("a command has a key");
    map.key(&[KeyInput::Content(Digest::of(name.as_bytes()))])
}

/// Answers an action as a cache would that knows nothing.
fn miss(action: &Action) -> Verdict {
    match action {
        Action::FindAlias { .. } => Verdict::AliasUnknown,
        Action::Check { vertex, .. } => Verdict::Checked(content_key(&vertex.index().to_string())),
        Action::LookUp { .. } => Verdict::Miss,
        Action::Take { .. } | Action::Run { .. } => Verdict::Finished,
    }
}

/// Answers an action as a cache would that knows everything.
fn hit(action: &Action) -> Verdict {
    match action {
        Action::FindAlias { vertex, .. } => {
            Verdict::AliasFound(content_key(&vertex.index().to_string()))
        }
        Action::LookUp { .. } => Verdict::Hit,
        Action::Check { .. } | Action::Take { .. } | Action::Run { .. } => miss(action),
    }
}

/// Carries actions out, the one that `order` picks first; returns them in that order.
fn play(
    machine: &mut Machine<'_>,
    mut waiting: Vec<Action>,
    mut answer: impl FnMut(&Action) -> Verdict,
    mut order: impl FnMut(usize) -> usize,
) -> Vec<Action> {
    let mut done = Vec::new();
    while !waiting.is_empty() {
        let action = waiting.swap_remove(order(waiting.len()));
        waiting.extend(machine.step(action.vertex(), answer(&action)));
        done.push(action);
    }
    done
}

fn runs(actions: &[Action]) -> Vec<usize> {
    let is_run = |action: &&Action| matches!(action, Action::Run { .. });
    let mut ids: Vec<_> = actions
        .iter()
        .filter(is_run)
        .map(|run| run.vertex().index())
        .collect();
    ids.sort_unstable();
    ids
}

/// `context ─► copy ─► run`, and a stage that nothing needs.
fn small_graph() -> (Definition, VertexId) {
    let mut builder = DefinitionBuilder::new();
    let context = builder.add(local()).expect("the graph is in order");
    let from_context = copy("a", Input::Scratch, Input::Vertex(context));
    let copied = builder.add(from_context).expect("the graph is in order");
    builder
        .add(exec("unused", Input::Scratch))
        .expect("the graph is in order");
    let target = builder
        .add(exec("make", Input::Vertex(copied)))
        .expect("the graph is in order");
    (builder.finish(), target)
}

#[test]
fn what_the_target_does_not_need_is_not_touched() {
    let (definition, target) = small_graph();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let done = play(&mut machine, first, miss, |_| 0);
    assert_eq!(runs(&done), [0, 1, 3]);
    assert_eq!(*machine.phase(VertexId::new(2)), Phase::Unkeyed);
    assert_eq!(machine.stalled(), []);
}

#[test]
fn a_known_graph_runs_nothing_but_what_reads_the_context() {
    let (definition, target) = small_graph();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let done = play(&mut machine, first, hit, |_| 0);
    assert_eq!(runs(&done), [0]);
    assert!(matches!(machine.phase(target), Phase::Done { .. }));
}

#[test]
fn without_reuse_the_cache_is_not_asked() {
    let (definition, target) = small_graph();
    let mut machine = Machine::new(&definition, Reuse::No);
    let first = machine.start(&[target]);
    let done = play(&mut machine, first, hit, |_| 0);
    assert_eq!(runs(&done), [0, 1, 3]);
    let asks = |action: &Action| matches!(action, Action::LookUp { .. } | Action::FindAlias { .. });
    assert!(!done.iter().any(asks));
}

/// `one ─► two ─► copy --from=two`: the source of a copy whose definition is known is not made.
#[test]
fn what_is_renewed_and_what_stands_on_it_runs_again_and_copies_of_it_are_looked_up_by_content() {
    let mut builder = DefinitionBuilder::new();
    let mut add = |vertex| Input::Vertex(builder.add(vertex).unwrap());
    let renewed = add(exec("renewed", Input::Scratch));
    let upon = add(exec("upon", renewed));
    let other = add(exec("other", Input::Scratch));
    let target = add(copy("/a", other, upon));
    let [
        Input::Vertex(renewed),
        Input::Vertex(upon),
        Input::Vertex(target),
    ] = [renewed, upon, target]
    else {
        panic!("all of them are vertices");
    };
    builder.renew(renewed);
    let definition = builder.finish();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let actions = play(&mut machine, first, hit, |_| 0);
    assert_eq!(runs(&actions), [renewed.index(), upon.index()]);
    let checks = actions
        .iter()
        .filter(|action| matches!(action, Action::Check { vertex, .. } if *vertex == target));
    assert_eq!(checks.count(), 1);
    let asked = |action: &&Action| matches!(action, Action::FindAlias { .. });
    assert_eq!(actions.iter().filter(asked).count(), 0);
}

#[test]
fn the_source_of_a_known_copy_is_not_made() {
    let mut builder = DefinitionBuilder::new();
    let one = builder
        .add(exec("one", Input::Scratch))
        .expect("the graph is in order");
    let two = builder
        .add(exec("two", Input::Vertex(one)))
        .expect("the graph is in order");
    let from_two = copy("x", Input::Scratch, Input::Vertex(two));
    let target = builder.add(from_two).expect("the graph is in order");
    let definition = builder.finish();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let done = play(&mut machine, first, hit, |_| 0);
    assert_eq!(runs(&done), Vec::<usize>::new());
    assert!(done.iter().all(|action| action.vertex() == target));
}

/// What a known command mounts is not made; what an unknown one mounts is made, all of it, before its content is
/// looked at.
#[test]
fn what_a_command_mounts_is_made_only_if_the_command_is_not_known() {
    for (answer, expected) in [
        (hit as fn(&Action) -> Verdict, vec![]),
        (miss, vec![0, 1, 2]),
    ] {
        let mut builder = DefinitionBuilder::new();
        let [one, two] = ["one", "two"].map(|name| {
            let made = builder.add(exec(name, Input::Scratch));
            Input::Vertex(made.expect("the graph is in order"))
        });
        let made = mounting("make", Input::Scratch, &[one, two, Input::Scratch]);
        let target = builder.add(made).expect("the graph is in order");
        let definition = builder.finish();
        let mut machine = Machine::new(&definition, Reuse::Yes);
        let first = machine.start(&[target]);
        let done = play(&mut machine, first, answer, |_| 0);
        assert_eq!(runs(&done), expected);
        let checks = done
            .iter()
            .filter(|action| matches!(action, Action::Check { .. }));
        assert_eq!(checks.count(), usize::from(!expected.is_empty()));
        assert!(matches!(machine.phase(target), Phase::Done { .. }));
    }
}

/// Two stages, and two copies one on the other: neither stage waits for the other.
#[test]
fn stages_that_two_copies_need_are_asked_for_side_by_side() {
    for reuse in [Reuse::Yes, Reuse::No] {
        let mut builder = DefinitionBuilder::new();
        let one = builder
            .add(exec("one", Input::Scratch))
            .expect("the graph is in order");
        let two = builder
            .add(exec("two", Input::Scratch))
            .expect("the graph is in order");
        let from_one = copy("x", Input::Scratch, Input::Vertex(one));
        let below = builder.add(from_one).expect("the graph is in order");
        let between = builder.add(exec("between", Input::Vertex(below)));
        let between = between.expect("the graph is in order");
        let from_two = copy("y", Input::Vertex(between), Input::Vertex(two));
        let target = builder.add(from_two).expect("the graph is in order");
        let definition = builder.finish();
        let mut machine = Machine::new(&definition, reuse);
        let mut waiting = machine.start(&[target]);
        let mut running = Vec::new();
        while let Some(action) = waiting.pop() {
            if let Action::Run { vertex, .. } = action {
                running.push(vertex);
            } else {
                waiting.extend(machine.step(action.vertex(), miss(&action)));
            }
        }
        running.sort_unstable();
        assert_eq!(running, [one, two], "{reuse:?}");
    }
}

#[test]
fn a_failure_cancels_what_depends_on_it_and_starts_nothing_new() {
    let (definition, target) = small_graph();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let fail = |action: &Action| {
        let is_copy = matches!(action, Action::Run { vertex, .. } if vertex.index() == 1);
        if is_copy {
            Verdict::Failed
        } else {
            miss(action)
        }
    };
    let done = play(&mut machine, first, fail, |_| 0);
    assert_eq!(runs(&done), [0, 1]);
    assert_eq!(*machine.phase(VertexId::new(1)), Phase::Failed);
    assert_eq!(*machine.phase(target), Phase::Cancelled);
    assert_eq!(machine.stalled(), []);
}

#[test]
fn a_verdict_that_does_not_fit_fails_the_vertex() {
    let (definition, target) = small_graph();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let actions = machine.start(&[target]);
    let action = actions.first().expect("something is to be done");
    machine.step(action.vertex(), Verdict::Hit);
    assert_eq!(*machine.phase(action.vertex()), Phase::Failed);
}

/// Three commands one on the other; the first is not known and makes what another key led to.
fn chain() -> (Definition, [VertexId; 3]) {
    let mut builder = DefinitionBuilder::new();
    let mut below = Input::Scratch;
    let ids = ["one", "two", "three"].map(|name| {
        let id = builder.add(exec(name, below)).unwrap();
        below = Input::Vertex(id);
        id
    });
    (builder.finish(), ids)
}

#[test]
fn what_stands_on_a_result_that_is_an_earlier_one_is_looked_up_by_that_one() {
    let (definition, [one, two, three]) = chain();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[three]);
    let known = content_key("earlier");
    let two_key = CacheMap::of(definition.vertex(two))
        .unwrap()
        .key(&[KeyInput::Key(known.clone())]);
    let done = play(
        &mut machine,
        first,
        |action| {
            if matches!(action, Action::Run { vertex, .. } if *vertex == one) {
                Verdict::FinishedAs(known.clone())
            } else if matches!(action, Action::LookUp { key, .. } if *key == two_key) {
                Verdict::Hit
            } else {
                miss(action)
            }
        },
        |_| 0,
    );
    // The third is looked up once by the first key of the second, and found nowhere.
    assert_eq!(runs(&done), [one.index(), three.index()]);
    let key = |id| machine.phase(id).key().cloned();
    assert_eq!((key(one), key(two)), (Some(known), Some(two_key)));
    for (id, keys) in [(one, 0), (two, 1), (three, 1)] {
        assert_eq!(machine.former_keys(id).len(), keys, "{id:?}");
    }
}

#[test]
fn a_copy_that_waits_for_a_stage_is_looked_up_by_what_that_came_out_as() {
    let (mut builder, known) = (DefinitionBuilder::new(), content_key("earlier"));
    let source = builder.add(exec("source", Input::Scratch)).unwrap();
    let from_source = copy("/a", Input::Scratch, Input::Vertex(source));
    let target = builder.add(from_source).unwrap();
    let definition = builder.finish();
    let alias = CacheMap::of(definition.vertex(target))
        .unwrap()
        .key(&[KeyInput::Scratch, KeyInput::Key(known.clone())]);
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let first = machine.start(&[target]);
    let done = play(
        &mut machine,
        first,
        |action| {
            let is_known = |key: &CacheKey| *key == alias;
            if matches!(action, Action::Run { .. }) {
                Verdict::FinishedAs(known.clone())
            } else if matches!(action, Action::FindAlias { definition, .. } if is_known(definition))
            {
                Verdict::AliasFound(content_key("content"))
            } else {
                miss(action)
            }
        },
        |_| 0,
    );
    assert_eq!(runs(&done), [source.index()]);
    let is_check = |action: &Action| matches!(action, Action::Check { .. });
    assert!(!done.iter().any(is_check));
    assert!(matches!(
        machine.former_keys(target),
        [Former::Definition(_)]
    ));
}

#[test]
fn a_key_that_turns_out_to_be_another_during_a_look_up_is_looked_up_again() {
    let (definition, [one, two, _]) = chain();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let mut waiting = machine.start(&[one, two]);
    let known = content_key("earlier");
    let take = |waiting: &mut Vec<Action>, id| {
        let place = waiting.iter().position(|action| action.vertex() == id);
        waiting.swap_remove(place.unwrap())
    };
    // The second is being looked up while the first turns out to be another.
    let held = take(&mut waiting, two);
    take(&mut waiting, one);
    waiting.extend(machine.step(one, Verdict::HitAs(known.clone())));
    assert!(matches!(machine.phase(two), Phase::LookingUp { .. }));
    waiting.extend(machine.step(held.vertex(), Verdict::Miss));
    let again = take(&mut waiting, two);
    let map = CacheMap::of(definition.vertex(two)).unwrap();
    let expected = map.key(&[KeyInput::Key(known)]);
    assert!(matches!(again, Action::LookUp { key, .. } if key == expected));
}

/// A short stage stands above a long one; what is made of both is the target.
#[test]
fn the_longest_way_to_a_target_is_counted_for_each_vertex() {
    let mut builder = DefinitionBuilder::new();
    let mut add = |vertex| Input::Vertex(builder.add(vertex).unwrap());
    let short = add(exec("short", Input::Scratch));
    let first = add(exec("first", Input::Scratch));
    let second = add(exec("second", first));
    let of_short = add(copy("/a", Input::Scratch, short));
    add(copy("/b", of_short, second));
    let definition = builder.finish();
    let length = |id: VertexId| match definition.vertex(id).op {
        Op::Exec(_) => 10,
        Op::File(_) | Op::Source(_) => 1,
    };
    assert_eq!(ranks(&definition, length), [12, 21, 11, 2, 1]);
}

/// A command stands on a copy, and another stage is copied from: all but the copies on top of them are seen.
#[test]
fn what_is_below_a_command_or_copied_from_is_seen() {
    let mut builder = DefinitionBuilder::new();
    let mut add = |vertex| Input::Vertex(builder.add(vertex).unwrap());
    let context = add(local());
    let lowest = add(copy("/a", Input::Scratch, context));
    let command = add(exec("command", lowest));
    let other = add(copy("/b", Input::Scratch, context));
    let above = add(copy("/c", command, other));
    add(copy("/d", above, context));
    let seen = seen_by_commands(&builder.finish());
    assert_eq!(seen, [true, true, false, true, false, false]);
}

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
