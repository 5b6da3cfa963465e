//! The app's bytes, with what a goodbye changes in them.

use crate::track::Odd;
use crate::track::http1::Upgrade;
use std::borrow::Cow;

/// Bytes for the client.
pub(super) struct Passed<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// They end with the goodbye: nothing goes on in either direction.
    pub(super) last: bool,
    pub(super) next: Next,
}

/// What the connection is after some bytes of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// What it was before them.
    Same,
    /// Nobody knows, for this reason.
    Opaque(Odd),
    /// This, from this place in the app's bytes on; what would come of those after it is left out
    /// here.
    Upgraded(Upgrade, usize),
}

/// The app's bytes with parts replaced; no copy is made where there is none.
pub(super) struct Edit<'a> {
    input: &'a [u8],
    /// What of the input is in `out`, or left out of it.
    done: usize,
    out: Option<Vec<u8>>,
}

impl<'a> Edit<'a> {
    pub(super) fn new(input: &'a [u8]) -> Edit<'a> {
        Edit {
            input,
            done: 0,
            out: None,
        }
    }

    /// Replaces `start..end`, which comes after everything that was replaced before.
    pub(super) fn put(&mut self, start: usize, end: usize, bytes: &[u8]) {
        if start == end && bytes.is_empty() {
            return;
        }
        let out = self.out.get_or_insert_default();
        out.extend_from_slice(&self.input[self.done..start]);
        out.extend_from_slice(bytes);
        self.done = end;
    }

    pub(super) fn finish(mut self) -> Cow<'a, [u8]> {
        match self.out.take() {
            None => Cow::Borrowed(self.input),
            Some(mut out) => {
                out.extend_from_slice(&self.input[self.done..]);
                Cow::Owned(out)
            }
        }
    }

    /// Goes on as it was.
    pub(super) fn same(self) -> Passed<'a> {
        Passed {
            bytes: self.finish(),
            last: false,
            next: Next::Same,
        }
    }

    /// Goes on as nobody knows.
    pub(super) fn opaque(self, odd: Odd) -> Passed<'a> {
        Passed {
            bytes: self.finish(),
            last: false,
            next: Next::Opaque(odd),
        }
    }

    /// Ends here: what the app sent after its last answer is swallowed.
    pub(super) fn last(mut self, used: usize) -> Passed<'a> {
        let input = self.input;
        self.put(used, input.len(), b"");
        Passed {
            bytes: self.finish(),
            last: true,
            next: Next::Same,
        }
    }

    /// Is another protocol from this place on.
    pub(super) fn upgraded(self, upgrade: Upgrade, used: usize) -> Passed<'a> {
        Passed {
            last: false,
            next: Next::Upgraded(upgrade, used),
            ..self.last(used)
        }
    }
}
