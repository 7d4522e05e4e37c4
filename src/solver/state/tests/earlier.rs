//! Keys that turn out to be others: early cut-off.

use super::*;

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
    for (id, keys) in [(one, 1), (two, 1), (three, 1)] {
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
    // The first one, by which it was not found, and the one by which it was.
    assert!(matches!(
        machine.former_keys(target),
        [Former::Definition(_), Former::Definition(found)] if *found == alias
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

#[test]
fn what_stood_on_another_result_is_looked_up_once_more_and_made_again() {
    let (definition, [first, second, third]) = chain();
    let mut machine = Machine::new(&definition, Reuse::Yes);
    let actions = machine.start(&[third]);
    let mut looked_up = Vec::new();
    let done = play(
        &mut machine,
        actions,
        |action| match action {
            Action::LookUp { vertex, .. } => {
                looked_up.push(*vertex);
                let is_first_time = looked_up.iter().filter(|id| *id == vertex).count() == 1;
                // The lowest is gone, and then nothing stands on what is there.
                if *vertex != first && is_first_time {
                    Verdict::Hit
                } else {
                    Verdict::Miss
                }
            }
            Action::Take { .. } => Verdict::StoodElsewhere,
            Action::FindAlias { .. } | Action::Check { .. } | Action::Run { .. } => miss(action),
        },
        |_| 0,
    );
    assert_eq!(runs(&done), [first, second, third].map(VertexId::index));
    assert_eq!(looked_up, [third, second, first, second, third]);
    assert_eq!(machine.stalled(), []);
}
