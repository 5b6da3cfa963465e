//! What an exchange asks its connection to do.

use std::borrow::Cow;

/// Bytes from the client for the app.
pub(crate) struct ToApp<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// The number of bytes of the input that are done with. The rest must be kept, and given again
    /// when [`super::Exchange::is_gated`] is no longer true.
    pub(crate) taken: usize,
}

/// Bytes from the app for the client.
pub(crate) struct ToClient<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// The answer that said goodbye is complete: nothing goes on in either direction.
    pub(crate) last: bool,
}

/// How the app's side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppClosed {
    /// In any way, when the client had said all: whoever goes first has ended what was open.
    AfterClient,
    /// By its FIN.
    First,
    /// By a reset, or it never took the connection.
    Reset,
}

/// What becomes of the client when the app has closed its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppEnd {
    /// It is notified, as it would be without the relay.
    Pass,
    /// It keeps its connection, because it may be sending a request at this moment.
    Keep,
}

/// What to do with a connection at the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// Close it. What is out can't pass for whole.
    Close,
    /// Reset it, if anything is in flight: a plain close would make what is out pass for whole, or
    /// the policy asks for it.
    Reset,
    /// Leave it to the app's own shutdown.
    Handover,
    /// Say this and close.
    Answer(Cow<'static, [u8]>),
}

/// What to do with bytes of a client whose app has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoApp {
    /// No complete request yet.
    Wait,
    /// Give this answer and close.
    Answer(&'static [u8]),
    /// That is no request.
    Close,
}
