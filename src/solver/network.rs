//! The network of a command: the machine's, none, or one that the build has of its own.
//!
//! One of its own is asked for when the first command is prepared, and is there when the rest of that is done.

use std::sync::atomic::{AtomicBool, Ordering};

use runtime::{ExecError, NetworkMode};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::job::Workshop;
use crate::stash::chain;

/// Which network a command gets whose step does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsualNetwork {
    /// This one, or it does not run.
    Only(NetworkMode),
    /// One of the build's own, or the machine's where there is nothing that connects one.
    SandboxOrHost,
}

/// What is known of the networks of commands.
#[derive(Debug, Default)]
pub struct Networks {
    is_told: AtomicBool,
}

impl UsualNetwork {
    /// Starts what it takes, so that it is there when it is needed.
    pub(crate) fn begin(self, workshop: &Workshop) {
        match self {
            Self::Only(NetworkMode::Sandbox) | Self::SandboxOrHost => {
                workshop.executor.begin_network();
            }
            Self::Only(NetworkMode::Host | NetworkMode::None) => {}
        }
    }

    /// Waits for what was begun, and returns which network it is. That there is none of the build's own is told once.
    pub(crate) fn settle(self, workshop: &Workshop) -> Result<NetworkMode, StepError> {
        let is_needed = match self {
            Self::Only(NetworkMode::Sandbox) => true,
            Self::SandboxOrHost => false,
            Self::Only(other) => return Ok(other),
        };
        let Err(failure) = workshop.executor.await_network(&workshop.cancel) else {
            return Ok(NetworkMode::Sandbox);
        };
        if workshop.cancel.is_cancelled() {
            return Err(StepError::Cancelled);
        }
        if is_needed {
            return Err(ExecError::Network(failure).into());
        }
        if !workshop.networks.is_told.swap(true, Ordering::Relaxed) {
            workshop.events.warn(format!(
                "commands have this machine's network, its loop-back with it: {}; `--network=host` says that this is \
                 meant",
                chain(&*failure)
            ));
        }
        Ok(NetworkMode::Host)
    }
}
