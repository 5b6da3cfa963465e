//! What a connection asks of its two legs. Sockets are such legs; so are the parties of a test.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// One of the two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    Client,
    App,
}

/// The two legs of a connection, with the bytes that wait for each. Whatever is pending wakes the
/// context's task when it is worth to be tried again.
pub(crate) trait Legs {
    /// Goes on dialing the app; after an error it is still to be let go.
    fn poll_dial(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Begins to dial the app once more.
    fn redial(&mut self);

    /// Closes the app's leg, and forgets what waits for it.
    fn leave_app(&mut self);

    /// Reads into `scratch` and says how much; 0 is the end of what the leg says.
    fn poll_read(
        &mut self,
        from: Leg,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>>;

    /// Writes; what the leg does not take waits. Nothing may wait before.
    fn send(&mut self, to: Leg, bytes: &[u8], context: &mut Context<'_>) -> io::Result<()>;

    /// Lets bytes wait after those that do.
    fn push(&mut self, to: Leg, bytes: &[u8]);

    /// How many bytes wait.
    fn unsent(&self, to: Leg) -> usize;

    /// Writes what waits; ready when nothing does any more.
    fn poll_flush(&mut self, to: Leg, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Forgets what waits for the app.
    fn forget(&mut self);

    /// Tells a leg that nothing more comes.
    fn poll_finish(&mut self, to: Leg, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The client's last bytes are those that wait: our FIN will come right after them.
    fn closes_behind_what_waits(&mut self);

    /// Both are to see that what they have is not whole.
    fn reset(&mut self);

    /// For the log: where the client is, as long as the kernel still knows. To be asked only where
    /// something is logged: it is a system call.
    fn client_addr(&self) -> Option<SocketAddr>;

    /// For the log: the app's port.
    fn app_port(&self) -> Option<u16>;
}
