//! A WebSocket connection (RFC 6455): what passes, and where its messages end.

pub(in crate::relay) mod bytes;
mod goodbye;

use super::At;
use super::edit::{Edit, Passed};
use crate::track::Odd;
use crate::track::websocket::{Ended, Frames};
use ebb_api::connections::WebSocketCode;
use goodbye::Closing;
use std::time::Instant;

/// One WebSocket connection.
pub(super) struct WebSocket {
    client: Frames,
    app: Frames,
    /// What our Close says.
    code: WebSocketCode,
    /// When it became one: it gets its time to say something too if the pod leaves already.
    began: Instant,
    /// When a byte passed last.
    moved: Instant,
    /// The last message was the client's.
    asked: bool,
    closing: Closing,
    /// The client was between messages when any such place would do.
    ripe: bool,
}

impl WebSocket {
    pub(super) fn new(code: WebSocketCode, now: Instant) -> WebSocket {
        WebSocket {
            client: Frames::of_client(),
            app: Frames::of_app(),
            code,
            began: now,
            moved: now,
            asked: false,
            closing: Closing::Open,
            ripe: false,
        }
    }

    /// Our Close says this from now on.
    pub(super) fn set_code(&mut self, code: WebSocketCode) {
        self.code = code;
    }

    /// Goes over the client's bytes, all of which go to the app.
    pub(super) fn client_sent(&mut self, input: &[u8], at: At<'_>) -> Result<(), Odd> {
        self.moved = at.now;
        let mut used = 0;
        while self.closing != Closing::Answered {
            let step = match self.client.advance(&input[used..]) {
                Ok(step) => step,
                Err(_) if self.has_parted() => {
                    // Noise is an answer too: what was said can't be unsaid.
                    self.answered(at);
                    break;
                }
                Err(odd) => return Err(odd),
            };
            used += step.used;
            match (step.event, self.closing) {
                (None, _) => break,
                (Some(Ended::Close), Closing::Open) => self.closing = Closing::Theirs,
                (Some(Ended::Close), Closing::Ours(_)) => self.answered(at),
                (Some(Ended::Message), _) => self.asked = true,
                _ => {}
            }
            let any_place = at
                .leaving
                .is_some_and(|leaving| self.any_place_from(leaving) <= at.now);
            self.ripe |= any_place && self.client.is_between_messages();
        }
        Ok(())
    }

    /// Goes over the app's bytes.
    pub(super) fn app_sent<'a>(&mut self, input: &'a [u8], at: At<'_>) -> Passed<'a> {
        let mut edit = Edit::new(input);
        if self.has_parted() {
            edit.put(0, input.len(), b"");
            return edit.same();
        }
        self.moved = at.now;
        let mut used = 0;
        loop {
            let step = match self.app.advance(&input[used..]) {
                Ok(step) => step,
                Err(odd) => return edit.opaque(odd),
            };
            used += step.used;
            match step.event {
                None => return edit.same(),
                Some(Ended::Close) => self.closing = Closing::Theirs,
                Some(Ended::Message) => self.asked = false,
                Some(Ended::Frame) => {}
            }
            if let Some(close) = self.close(at) {
                edit.put(used, input.len(), &close);
                return edit.same();
            }
        }
    }
}
