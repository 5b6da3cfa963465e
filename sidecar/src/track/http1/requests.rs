//! The client's direction: one request behind the other.

use super::Step;
use super::body::Body;
use super::head::{Gathered, RequestHead, plausible_request, read_request};
use crate::track::Odd;

/// Tracks the bytes that a client sends.
#[derive(Debug, Default)]
pub struct Requests {
    state: State,
    head: Gathered,
}

/// What happened behind the bytes that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEvent {
    /// A head is complete.
    Head(RequestHead),
    /// A request is complete: its head if it has no body, else its body.
    End,
}

#[derive(Debug, Default)]
enum State {
    /// At a boundary, perhaps in the white space that some clients send there.
    #[default]
    Between,
    Head,
    /// A head was told, and its request's end comes next without a byte.
    Ending,
    Body(Body),
}

impl Requests {
    /// True if no byte of a next request was seen.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// True inside of a head that is not complete.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Goes over `input` up to the next event. Call it until it has no event to tell, with what it
    /// did not use.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<RequestEvent>, Odd> {
        let mut skipped = 0;
        if matches!(self.state, State::Between) {
            // RFC 9112, section 2.2: an empty line before a request is to be ignored.
            skipped = input
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if skipped == input.len() {
                return Ok(Step {
                    used: skipped,
                    event: None,
                });
            }
            self.state = State::Head;
        }
        let rest = &input[skipped..];
        let (used, event) = match &mut self.state {
            State::Between | State::Head => {
                match self.head.add(rest, read_request, plausible_request)? {
                    None => (rest.len(), None),
                    Some((used, head)) => {
                        self.head.clear();
                        self.state = head.framing.body().map_or(State::Ending, State::Body);
                        (used, Some(RequestEvent::Head(head)))
                    }
                }
            }
            State::Ending => {
                self.state = State::Between;
                (0, Some(RequestEvent::End))
            }
            State::Body(body) => {
                let (used, ended) = body.advance(rest)?;
                if ended {
                    self.state = State::Between;
                }
                (used, ended.then_some(RequestEvent::End))
            }
        };
        Ok(Step {
            used: skipped + used,
            event,
        })
    }
}
