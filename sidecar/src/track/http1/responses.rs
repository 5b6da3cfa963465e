//! The app's direction: one response behind the other, each read knowing its request.

use super::Step;
use super::body::Body;
use super::head::{Gathered, Method, ResponseHead, plausible_response, read_response};
use crate::track::Odd;

/// Tracks the bytes that an app sends.
#[derive(Debug, Default)]
pub struct Responses {
    state: State,
    head: Gathered,
}

/// What happened behind the bytes that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseEvent {
    /// A head is complete; after a 1xx the request is still open.
    Head(ResponseHead),
    /// A final response is complete.
    End,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    Head,
    /// A head was told, and its response's end comes next without a byte.
    Ending,
    Body(Body),
}

impl Responses {
    /// True if no byte of the next response, interim or final, was seen.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// True inside of a head that is not complete.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// True inside of a body that only the end of the connection delimits.
    pub fn is_until_close(&self) -> bool {
        matches!(self.state, State::Body(Body::UntilClose))
    }

    /// Goes over `input` up to the next event, knowing the method of the oldest open request. Call
    /// it until it has no event to tell, with what it did not use.
    pub fn advance(
        &mut self,
        input: &[u8],
        method: Option<Method>,
    ) -> Result<Step<ResponseEvent>, Odd> {
        if matches!(self.state, State::Between) {
            if input.is_empty() {
                return Ok(Step {
                    used: 0,
                    event: None,
                });
            }
            self.state = State::Head;
        }
        let (used, event) = match &mut self.state {
            State::Between | State::Head => {
                // An answer that nobody asked for.
                let method = method.ok_or(Odd::Unsolicited)?;
                let read = |bytes: &[u8]| read_response(bytes, method);
                match self.head.add(input, read, plausible_response)? {
                    None => (input.len(), None),
                    Some((used, head)) => {
                        self.head.clear();
                        self.state = match head.framing.body() {
                            _ if head.status < 200 => State::Between,
                            None => State::Ending,
                            Some(body) => State::Body(body),
                        };
                        (used, Some(ResponseEvent::Head(head)))
                    }
                }
            }
            State::Ending => {
                self.state = State::Between;
                (0, Some(ResponseEvent::End))
            }
            State::Body(body) => {
                let (used, ended) = body.advance(input)?;
                if ended {
                    self.state = State::Between;
                }
                (used, ended.then_some(ResponseEvent::End))
            }
        };
        Ok(Step { used, event })
    }
}
