//! A message and its prefix: one byte that says whether it is compressed, four for its length.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

const PREFIX: usize = 5;

/// The longest message that is read: what gRPC's own libraries take by default.
const LONGEST: usize = 4 << 20;

/// Finds messages in the pieces of a body.
#[derive(Debug, Default)]
pub struct Messages {
    buffer: BytesMut,
}

/// A message that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// It is compressed, which nobody here asked for.
    Compressed,
    /// It is longer than 4 MiB.
    TooLong,
}

/// A message with its prefix.
///
/// # Panics
///
/// If it is longer than 4 GiB.
pub fn message(content: &[u8]) -> Bytes {
    let length = u32::try_from(content.len()).expect("nobody sends messages of gigabytes");
    let mut bytes = BytesMut::with_capacity(PREFIX + content.len());
    bytes.put_u8(0);
    bytes.put_u32(length);
    bytes.put_slice(content);
    bytes.freeze()
}

// === impl Messages ===

impl Messages {
    /// Takes the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next message, without its prefix, if it is whole.
    ///
    /// # Errors
    ///
    /// Says why the message can't be read. Nor can what comes after it.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` means that more bytes are needed, not that it is over"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, MessageError> {
        let Some((prefix, _)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 {
            return Err(MessageError::Compressed);
        }
        if length > LONGEST {
            return Err(MessageError::TooLong);
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages come out whole, however they are cut, the empty one, too.
    #[test]
    fn messages_are_found_in_any_pieces() {
        let bytes = [message(b"one"), message(b""), message(b"three")].concat();
        for size in 1..=bytes.len() {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                messages.push(piece);
                while let Some(message) = messages.next().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, ["one", "", "three"], "in pieces of {size}");
        }
    }

    /// A prefix from outside can't make us wait for gigabytes.
    #[test]
    fn strange_prefixes_are_refused() {
        for (prefix, error) in [
            ([1, 0, 0, 0, 1], MessageError::Compressed),
            ([0, 255, 255, 255, 255], MessageError::TooLong),
        ] {
            let mut messages = Messages::default();
            messages.push(&prefix);
            assert_eq!(messages.next(), Err(error));
        }
    }
}
