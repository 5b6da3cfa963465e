//! TLS (RFC 8446, section 5.1; RFC 5246, section 6.2.1): known by the first record that a client
//! sends, and never opened. What it carries is opaque.

/// How many bytes show it: the header of a record (5), that of a handshake message (4), and the
/// first of that message's version.
const TELLING: u8 = 10;

/// The content type of a record that carries a handshake message.
const HANDSHAKE: u8 = 22;

/// The type of the message that a client says first (RFC 8446, section 4).
const CLIENT_HELLO: u8 = 1;

/// The first byte of every version's number since SSL 3.0, which later ones say for the sake of the
/// machines in between.
const MAJOR: u8 = 3;

/// The longest payload of a record is 2^14 bytes: this is its higher byte.
const LENGTH_LIMIT: u8 = 0x40;

/// What a client's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsTls {
    /// They are not those of a ClientHello.
    No,
    /// They may become those.
    Perhaps,
    /// They are.
    Yes,
}

/// The start of a connection, for as long as it may be that of TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello {
    seen: u8,
}

impl Hello {
    /// Goes over the first bytes of a client. Not to be called again once they have told.
    pub fn advance(&mut self, input: &[u8]) -> IsTls {
        for byte in input.iter().take(usize::from(TELLING - self.seen)) {
            let plausible = match self.seen {
                0 => *byte == HANDSHAKE,
                1 | 9 => *byte == MAJOR,
                2 => *byte <= 4,
                3 => *byte <= LENGTH_LIMIT,
                5 => *byte == CLIENT_HELLO,
                // No hello is so long that its length needs all three bytes.
                6 => *byte == 0,
                _ => true,
            };
            if !plausible {
                return IsTls::No;
            }
            self.seen += 1;
        }
        match self.seen {
            TELLING => IsTls::Yes,
            _ => IsTls::Perhaps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8; TELLING as usize] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03";

    /// A hello is known by its first bytes, however they come, and by no fewer.
    #[test]
    fn a_hello_is_known() {
        let mut hello = Hello::default();
        for byte in &START[..START.len() - 1] {
            assert_eq!(hello.advance(&[*byte]), IsTls::Perhaps);
        }
        assert_eq!(hello.advance(b"\x03\x03 and so on"), IsTls::Yes);
        assert_eq!(Hello::default().advance(START), IsTls::Yes);
    }

    /// What differs anywhere is something else: an alert, an answer, SSL 2.0, another protocol.
    #[test]
    fn other_starts_are_not() {
        for (place, byte) in [
            (0, 21),
            (0, 0x80),
            (1, 2),
            (2, 5),
            (3, 0x41),
            (5, 2),
            (6, 1),
            (9, 0),
        ] {
            let mut start = *START;
            start[place] = byte;
            assert_eq!(Hello::default().advance(&start), IsTls::No, "{place}");
        }
    }
}
