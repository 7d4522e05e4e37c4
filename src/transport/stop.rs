//! The wish to end early, as whoever copies is told of it: [`Stop`].

use std::fmt;
use std::sync::Arc;

/// Tells whether the user, or somebody for them, wants no more. It is asked often, from every thread.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl Stop {
    /// Asks a function.
    pub fn new<F: Fn() -> bool + Send + Sync + 'static>(is_stopped: F) -> Self {
        Self(Arc::new(is_stopped))
    }

    /// Never stops.
    pub fn never() -> Self {
        Self::new(|| false)
    }

    /// Tells whether it is to end.
    pub fn is_stopped(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_stopped()).finish()
    }
}
