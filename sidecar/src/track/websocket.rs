//! WebSocket (RFC 6455, section 5.2): where frames and messages end, by frame headers alone.

use super::{Odd, Step};

/// The longest header: two bytes, a length of eight, a mask of four.
const HEAD: usize = 14;

/// The longest payload of a control frame (section 5.5).
const CONTROL_LIMIT: u8 = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Tracks the frames of one direction. Extensions may change payloads and the reserved bits, never
/// where a frame ends.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    masked: bool,
    head: [u8; HEAD],
    /// How many bytes of the header were seen.
    have: usize,
    /// What is still to come of the payload.
    left: u64,
    /// Between the first frame of a message in several and its last.
    in_message: bool,
}

/// What ended after the bytes that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A message.
    Message,
    /// A frame that ends none: a part of a message, a Ping, a Pong.
    Frame,
    /// A Close frame: nothing that matters comes after it.
    Close,
}

impl Frames {
    /// The frames that a client sends: each has a mask (section 5.1).
    pub fn of_client() -> Frames {
        Frames::new(true)
    }

    /// The frames that an app sends: none has a mask.
    pub fn of_app() -> Frames {
        Frames::new(false)
    }

    fn new(masked: bool) -> Frames {
        Frames {
            masked,
            head: [0; HEAD],
            have: 0,
            left: 0,
            in_message: false,
        }
    }

    /// True where another frame can be put between these.
    pub fn is_between_frames(&self) -> bool {
        self.have == 0
    }

    /// True if no message is under way.
    pub fn is_between_messages(&self) -> bool {
        self.have == 0 && !self.in_message
    }

    /// Goes over `input` up to the end of a frame. Call it until it has no event to report, with
    /// what it did not use.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<Ended>, Odd> {
        let mut used = 0;
        while self.is_in_head() {
            let Some(byte) = input.get(used) else {
                return Ok(Step { used, event: None });
            };
            self.head[self.have] = *byte;
            self.have += 1;
            used += 1;
            match self.have {
                1 => self.check_kind()?,
                2 => self.check_length()?,
                _ => {}
            }
            if !self.is_in_head() {
                self.left = self.length()?;
            }
        }
        let rest = input.len() - used;
        let payload = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
        self.left -= payload as u64;
        Ok(Step {
            used: used + payload,
            event: (self.left == 0).then(|| self.end()),
        })
    }

    fn kind(&self) -> u8 {
        self.head[0] & 0xf
    }

    fn is_final(&self) -> bool {
        self.head[0] & 0x80 != 0
    }

    fn is_in_head(&self) -> bool {
        self.have < 2 || self.have < 2 + self.extended() + 4 * usize::from(self.masked)
    }

    /// How many bytes the length takes after the first two.
    fn extended(&self) -> usize {
        match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    /// Section 5.4: parts of a message follow each other, with control frames between them alone.
    fn check_kind(&self) -> Result<(), Odd> {
        let plausible = match self.kind() {
            CONTINUATION => self.in_message,
            TEXT | BINARY => !self.in_message,
            CLOSE | PING | PONG => self.is_final(),
            _ => false,
        };
        plausible.then_some(()).ok_or(Odd::Malformed)
    }

    fn check_length(&self) -> Result<(), Odd> {
        let masked = self.head[1] & 0x80 != 0;
        let control = self.kind() >= CLOSE;
        let too_long = control && self.head[1] & 0x7f > CONTROL_LIMIT;
        (masked == self.masked && !too_long)
            .then_some(())
            .ok_or(Odd::Malformed)
    }

    fn length(&self) -> Result<u64, Odd> {
        let extended = &self.head[2..2 + self.extended()];
        if extended.is_empty() {
            return Ok(u64::from(self.head[1] & 0x7f));
        }
        let length = extended
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte));
        // The highest bit must be 0.
        (length >> 63 == 0).then_some(length).ok_or(Odd::Malformed)
    }

    fn end(&mut self) -> Ended {
        self.have = 0;
        match self.kind() {
            CLOSE => Ended::Close,
            PING | PONG => Ended::Frame,
            _ => {
                self.in_message = !self.is_final();
                if self.in_message {
                    Ended::Frame
                } else {
                    Ended::Message
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
