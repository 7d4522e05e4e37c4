//! How long a connection waits for its next bytes: for the head of an answer as long as the request allows, and in a
//! body as long as a server may be silent.
//!
//! A registry says nothing while it checks a large blob that was pushed. The library would take that for silence.

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// Makes connections that know what they wait for; the last in a chain.
#[derive(Debug)]
pub(crate) struct Waiting;

impl<In: Transport> Connector<In> for Waiting {
    type Out = Waiter<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(Waiter))
    }
}

/// A connection that knows what it waits for.
#[derive(Debug)]
pub(crate) struct Waiter<In>(In);

impl<In: Transport> Transport for Waiter<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.maybe_await_input(wait(timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(wait(timeout))
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Takes the limit of silence off where an answer is waited for, which has one of its own.
fn wait(timeout: NextTimeout) -> NextTimeout {
    match timeout.reason {
        Timeout::RecvResponse => NextTimeout {
            per_read: None,
            ..timeout
        },
        _ => timeout,
    }
}
