//! One direction: one message after the other.

use super::body::Body;
use super::gather::Gathered;
use super::head::{Head, Method, RequestHead, ResponseHead};
use crate::track::{Odd, Step};
use std::marker::PhantomData;

/// Tracks the messages of one direction, of which the heads are `H`.
#[derive(Debug)]
pub struct Messages<H> {
    state: State,
    head: Gathered,
    heads: PhantomData<H>,
}

/// The requests that a client sends.
pub type Requests = Messages<RequestHead>;

/// The responses that an app sends, each read knowing its request.
pub type Responses = Messages<ResponseHead>;

/// What happened after the bytes that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEvent<H> {
    /// A head is complete; after a 1xx the request is still open.
    Head(H),
    /// A message is complete: its head if it has no body, else its body.
    End,
}

#[derive(Debug, Default)]
enum State {
    /// At a boundary, perhaps in what is to be ignored there.
    #[default]
    Between,
    Head,
    /// A head was reported, and its message's end comes next without a byte.
    Ending,
    Body(Body),
}

impl<H> Default for Messages<H> {
    fn default() -> Messages<H> {
        Messages {
            state: State::default(),
            head: Gathered::default(),
            heads: PhantomData,
        }
    }
}

impl<H> Messages<H> {
    /// True if no byte of a next message was seen. After a 1xx the final response is the next.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// True inside of a head that is not complete.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }
}

impl Requests {
    /// Goes over `input` up to the next event. Call it until it has no event to report, with what
    /// it did not use.
    ///
    /// # Errors
    ///
    /// The bytes are odd.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<MessageEvent<RequestHead>>, Odd> {
        self.go_over(input, Ok(()))
    }
}

impl Responses {
    /// True inside of a body that only the end of the connection delimits.
    pub fn is_until_close(&self) -> bool {
        matches!(self.state, State::Body(Body::UntilClose))
    }

    /// Goes over `input` up to the next event, knowing the method of the oldest open request. Call
    /// it until it has no event to report, with what it did not use.
    ///
    /// # Errors
    ///
    /// The bytes are odd.
    pub fn advance(
        &mut self,
        input: &[u8],
        method: Option<Method>,
    ) -> Result<Step<MessageEvent<ResponseHead>>, Odd> {
        self.go_over(input, method.ok_or(Odd::Unsolicited))
    }
}

impl<H> Messages<H> {
    /// An error in what is `known` counts only where a head begins or goes on.
    fn go_over(
        &mut self,
        input: &[u8],
        known: Result<H::Known, Odd>,
    ) -> Result<Step<MessageEvent<H>>, Odd>
    where
        H: Head,
    {
        let mut ignored = 0;
        if self.is_between() {
            ignored = H::ignored(input);
            if ignored == input.len() {
                return Ok(Step {
                    used: ignored,
                    event: None,
                });
            }
            self.state = State::Head;
        }
        let rest = &input[ignored..];
        let (used, event) = match &mut self.state {
            State::Between | State::Head => match self.head.add::<H>(rest, known?)? {
                None => (rest.len(), None),
                Some((used, head)) => {
                    self.head.clear();
                    self.state = match head.framing().body() {
                        _ if head.is_interim() => State::Between,
                        None => State::Ending,
                        Some(body) => State::Body(body),
                    };
                    (used, Some(MessageEvent::Head(head)))
                }
            },
            State::Ending => {
                self.state = State::Between;
                (0, Some(MessageEvent::End))
            }
            State::Body(body) => {
                let (used, ended) = body.advance(rest)?;
                if ended {
                    self.state = State::Between;
                }
                (used, ended.then_some(MessageEvent::End))
            }
        };
        Ok(Step {
            used: ignored + used,
            event,
        })
    }
}
