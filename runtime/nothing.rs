//! The executor of a machine on which no command can be run: it says why.

use crate::executor::{ExecError, Executor, ExecutorMode, Protections, Step, StepOutcome};

/// Runs nothing. What needs no commands is built all the same.
#[derive(Debug, Clone)]
pub struct NoExecutor {
    obstacles: Vec<String>,
}

impl NoExecutor {
    /// Makes it, with what is in the way of each mode.
    pub fn new(obstacles: Vec<String>) -> Self {
        Self { obstacles }
    }

    fn refusal(&self) -> ExecError {
        ExecError::Nothing {
            obstacles: self.obstacles.clone(),
        }
    }
}

impl Executor for NoExecutor {
    fn mode(&self) -> ExecutorMode {
        ExecutorMode::Nothing
    }

    fn protections(&self) -> Protections {
        Protections {
            seccomp: false,
            abstract_sockets: false,
            signals: false,
            writing: false,
        }
    }

    fn check(&self) -> Result<(), ExecError> {
        Err(self.refusal())
    }

    fn run(&self, _step: Step<'_>) -> Result<StepOutcome, ExecError> {
        Err(self.refusal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_nothing_says_what_is_in_the_way() {
        let executor = NoExecutor::new(vec!["chroot: the caller is not root".to_owned()]);
        let error = executor.check().unwrap_err();
        assert_eq!(error.to_string(), "no command can be run on this machine");
        assert_eq!(executor.mode().to_string(), "none");
    }
}
