//! When a connection of HTTP/2 gets which goodbye.

use super::bytes::{go_away, warning};
use super::{Answer, Http2};
use crate::census::HEAD_PATIENCE;
use crate::relay::exchange::{At, ToClient};
use crate::track::http2::LAST_STREAM;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// How long no stream must be open: a client that sends one request after the other has its next on
/// the way by then, and clients that fail what is open at a GOAWAY have nothing open.
const QUIET: Duration = Duration::from_millis(10);

/// How long to wait for that moment before the client is asked to begin nothing more.
const BUSY: Duration = Duration::from_secs(1);

/// How long the client may take to answer that before its answer counts as lost: longer than any
/// round trip and a gateway's wait for a CPU, since its next request may be under way to us up to
/// then.
const ANSWER: Duration = Duration::from_secs(3);

/// What is to be said next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Exact,
    Warning,
}

impl Http2 {
    /// What is to be said at this moment, if it can be: nothing comes before the app's SETTINGS,
    /// inside of a frame, or inside of a header block.
    pub(in crate::relay::exchange) fn goodbye(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        if self.probe.is_some_and(|until| until <= at.now) {
            self.count_after_all(at);
        }
        let (due, word) = self.next_word(at.leaving)?;
        if due > at.now || !self.can_speak() {
            return None;
        }
        at.line.told();
        Some(match word {
            Word::Exact => ToClient {
                bytes: go_away(self.last(0)).to_vec().into(),
                last: true,
            },
            Word::Warning => {
                self.warned = true;
                self.answer = Answer::Awaited(at.now);
                ToClient {
                    bytes: warning().to_vec().into(),
                    last: false,
                }
            }
        })
    }

    /// When there will be something to say, if nothing happens before.
    pub(in crate::relay::exchange) fn goodbye_at(
        &self,
        leaving: Option<Instant>,
    ) -> Option<Instant> {
        let word = self.next_word(leaving).filter(|_| self.can_speak());
        [word.map(|(at, _)| at), self.probe]
            .into_iter()
            .flatten()
            .min()
    }

    /// The exact GOAWAY, where it can be said; the last `unwritten` bytes have not reached the app.
    pub(in crate::relay::exchange) fn last_word(
        &self,
        unwritten: u64,
    ) -> Option<Cow<'static, [u8]>> {
        self.can_speak()
            .then(|| go_away(self.last(unwritten)).to_vec().into())
    }

    fn can_speak(&self) -> bool {
        self.app.has_greeted() && self.app.is_between()
    }

    fn next_word(&self, leaving: Option<Instant>) -> Option<(Instant, Word)> {
        let (leaving, first) = (leaving?, self.first?);
        // Nothing can be asked of a client that has heard our FIN.
        let may_warn = !self.warned && !self.app_closed;
        let at_rest = self.quiet.map(|quiet| {
            let over = match self.answer {
                Answer::None => quiet + QUIET,
                Answer::Awaited(asked) => (quiet + QUIET).max(asked + ANSWER),
                Answer::Seen => quiet,
            };
            let head = self.head_began.map(|began| began + HEAD_PATIENCE);
            let word = match self.crowded && may_warn {
                true => Word::Warning,
                false => Word::Exact,
            };
            (over.max(leaving).max(head.unwrap_or(over)), word)
        });
        let warning = may_warn.then(|| (leaving.max(first) + BUSY, Word::Warning));
        [at_rest, warning]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The last stream that the app may have seen: `unwritten` bytes have not reached it.
    fn last(&self, unwritten: u64) -> u32 {
        let written = self.taken.saturating_sub(unwritten);
        // The numbers of streams that the app began itself (pushed) are not the client's.
        let mut of_client = self
            .open
            .iter()
            .filter(|open| !open.stream.is_multiple_of(2));
        let unseen = of_client.find(|open| open.end > written);
        let last = unseen.map_or(self.client.last(), |open| open.stream.saturating_sub(2));
        last.min(self.app_last.unwrap_or(LAST_STREAM))
    }
}
