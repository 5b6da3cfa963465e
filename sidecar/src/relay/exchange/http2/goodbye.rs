//! When a connection of HTTP/2 gets which goodbye.

use super::Http2;
use super::bytes::{AT_REST, WARNED, go_away, ping, warning};
use super::question::Question;
use crate::census::HEAD_PATIENCE;
use crate::relay::exchange::{At, ToClient};
use crate::track::http2::LAST_STREAM;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// How long no stream must be open before the client is spoken to without an answer on which the
/// goodbye could ride. Many clients pause for a second: this is more, and no multiple of it.
const REST: Duration = Duration::from_millis(1500);

/// How long a client that has several streams at a time may have one open without a break before it
/// is asked, all the same, to begin nothing more.
const BUSY: Duration = Duration::from_secs(1);

/// How long after a warning a client that is still there is asked whether it has read it. Clients
/// with nothing open have closed the connection by then. No sooner: those that take any GOAWAY for
/// the end fail at what they read behind it at the same time (Python's h2 does), and one that waits
/// for a CPU reads late.
const READ: Duration = Duration::from_secs(2);

/// How long the client may take to answer a PING before its answer counts as lost: longer than any
/// round trip and a gateway's wait for a CPU.
const ANSWER: Duration = Duration::from_secs(3);

/// How long after the answer to a warning a request may still come that was begun before it: with
/// several threads, one may have chosen the connection and then waited for a CPU. Clients that obey
/// close the connection themselves meanwhile.
const SETTLED: Duration = Duration::from_secs(1);

/// How long the goodbye waits for an answer behind which no RST_STREAM is to be expected. Clients
/// that make every request with a body may never have one.
const RESET: Duration = Duration::from_secs(2);

/// What is to be said next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Nothing that ends anything: only whether the client reads.
    Question,
    /// Begin nothing more.
    Warning,
    /// Whether it has read that.
    Confirm,
    /// This was the last stream.
    Exact,
}

impl Http2 {
    /// What is to be said at this moment, if it can be: nothing comes before the app's SETTINGS,
    /// inside of a frame, or inside of a header block.
    pub(in crate::relay::exchange) fn goodbye(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        if self.probe.is_some_and(|until| until <= at.now) {
            self.count_after_all(at);
        }
        let (due, word) = self.next_word(at.leaving)?;
        (due <= at.now && self.can_speak()).then(|| self.say(word, at))
    }

    /// The same right behind the end of the last open stream: the client reads the goodbye together
    /// with its answer, and has nothing open that it could take for broken.
    pub(super) fn goodbye_behind_answer(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        let wait = if self.expects_reset() {
            RESET
        } else {
            Duration::ZERO
        };
        let is_due = at.leaving.is_some_and(|leaving| leaving + wait <= at.now);
        // A probe's connection ends by itself; a stream that begins at this moment is one that is
        // open for its client.
        let is_last = self.probe.is_none() && self.head_began.is_none();
        if is_due && is_last && self.may_warn() && self.can_speak() {
            return Some(self.say(Word::Warning, at));
        }
        self.goodbye(at)
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

    fn say(&mut self, word: Word, at: At<'_>) -> ToClient<'static> {
        let bytes = match word {
            Word::Question => {
                self.reads = Question::Asked(at.now);
                ping(AT_REST).to_vec()
            }
            Word::Warning => {
                at.line.told();
                self.warned = Some(at.now);
                warning().to_vec()
            }
            Word::Confirm => {
                self.leaves = Question::Asked(at.now);
                ping(WARNED).to_vec()
            }
            Word::Exact => {
                at.line.told();
                go_away(self.last(0)).to_vec()
            }
        };
        ToClient {
            bytes: bytes.into(),
            last: word == Word::Exact,
        }
    }

    fn next_word(&self, leaving: Option<Instant>) -> Option<(Instant, Word)> {
        let (leaving, first) = (leaving?, self.first?);
        if let Some(warned) = self.warned
            && self.leaves == Question::Unasked
            && !self.app_closed
        {
            return Some((warned + READ, Word::Confirm));
        }
        let at_rest = self.quiet.and_then(|quiet| {
            let (due, word) = self.next_word_at_rest(quiet)?;
            let head = self.head_began.map_or(due, |began| began + HEAD_PATIENCE);
            Some((due.max(leaving).max(head), word))
        });
        let busy =
            (self.crowded && self.may_warn()).then(|| (leaving.max(first) + BUSY, Word::Warning));
        [at_rest, busy]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// What is said when no stream has been open since `quiet`, and when.
    fn next_word_at_rest(&self, quiet: Instant) -> Option<(Instant, Word)> {
        if self.app_closed {
            // Nothing can be asked of a client that has heard our FIN.
            return Some((quiet, Word::Exact));
        }
        Some(match (self.leaves, self.reads) {
            (Question::Answered(at), _) => (quiet.max(at + SETTLED), Word::Exact),
            (Question::Asked(at), _) => (quiet.max(at + ANSWER), Word::Exact),
            (Question::Unasked, Question::Unasked) if self.may_warn() => {
                (quiet + REST, Word::Question)
            }
            (Question::Unasked, Question::Answered(at)) if self.may_warn() => {
                (quiet.max(at), Word::Warning)
            }
            // It reads only while it waits for something, and would find any goodbye, and the end
            // of the connection, when it has sent its next request. That is waited for.
            (Question::Unasked, Question::Asked(_)) if self.may_warn() => return None,
            // The app has warned it: what remains is to know whether it has read that.
            (Question::Unasked, Question::Unasked) => (quiet, Word::Question),
            (Question::Unasked, Question::Answered(at)) => (quiet.max(at + SETTLED), Word::Exact),
            (Question::Unasked, Question::Asked(at)) => (quiet.max(at + ANSWER), Word::Exact),
        })
    }

    /// Whether the app may let a RST_STREAM follow the answer that has ended last, as it did
    /// before. It most times comes in a read of its own, and would stand behind the goodbye.
    fn expects_reset(&self) -> bool {
        self.resets_answered && self.answered.is_some()
    }

    /// Nobody has told it to begin nothing more, and it can be asked.
    pub(super) fn may_warn(&self) -> bool {
        self.warned.is_none() && self.app_last.is_none() && !self.app_closed
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
