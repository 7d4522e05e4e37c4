//! What a build says before it begins: which executor it has, and what it does without.

use std::convert::Infallible;

use runtime::ExecutorMode;
use solver::Workshop;
use solver::event::StepId;

/// Tells the executor as a step of its own, since a step is what every reader of a log understands. It is in no key and in no image.
pub(super) fn tell(mode: ExecutorMode, workshop: &Workshop) {
    let name = match mode {
        ExecutorMode::Nothing => "[internal] commands cannot be run".to_owned(),
        ExecutorMode::UsernsMulti | ExecutorMode::UsernsSingle | ExecutorMode::Chroot => {
            format!("[internal] commands are run with {mode}")
        }
    };
    let step = StepId("executor".to_owned());
    let told = workshop
        .events
        .show((&step, &name), || Ok::<(), Infallible>(()));
    match told {
        Ok(()) => {}
    }
}
