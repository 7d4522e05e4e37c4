//! The machine on small graphs by hand.

mod earlier;
mod random;

use graph::{
    Archives, BindMount, CacheMap, CopyAction, CopySource, DefinitionBuilder, ExecMount, ExecOp,
    FileAction, FileOp, KeyInput, LocalSource, MountAccess, MountKey, NetworkMode, SourceOp,
    StepLabel, Vertex,
};
use oci::{Digest, Platform};

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
