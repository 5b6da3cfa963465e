//! The PROXY protocol (HAProxy's specification, sections 2.1 and 2.2): a header with the client's
//! address, which a load balancer puts before the first byte of a connection. What follows it is
//! the connection's own.

/// What every header of version 2 begins with.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// How headers begin: version 2, and the three kinds of version 1.
const BEGINNINGS: [&[u8]; 4] = [SIGNATURE, b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];

/// The place of version 2 among those.
const VERSION_2: usize = 0;

/// The longest header of version 1, with the end of its line (section 2.1).
const LINE_LIMIT: u32 = 107;

/// What a client's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsHeader {
    /// They are not those of a header.
    No,
    /// They may become those.
    Perhaps,
    /// They are, and it goes on.
    Yes,
    /// They are, and it ends here: this many of the bytes belong to it.
    Ends(usize),
    /// They began as those of a header, and it is none that anybody can read.
    Broken,
}

/// The start of a connection, for as long as it may be such a header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    part: Part,
    /// How many bytes of it were seen.
    seen: u32,
    /// The last of them.
    last: u8,
}

/// The part of a header that comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The rest of how it begins, which has begun as this one of [`BEGINNINGS`].
    Beginning(usize),
    /// The rest of the line of version 1.
    Line,
    /// Version 2: the version, the family, and the two bytes of the length of what follows.
    Fixed,
    /// This many bytes of addresses and more.
    Addresses(usize),
}

impl Default for Part {
    fn default() -> Part {
        Part::Beginning(0)
    }
}

impl Header {
    /// How many bytes of it were seen.
    pub fn seen(&self) -> u64 {
        self.seen.into()
    }

    /// Goes over the first bytes of a client. Not to be called again once they have told that this
    /// is no header, or where it ends.
    pub fn advance(&mut self, input: &[u8]) -> IsHeader {
        let mut used = 0;
        while used < input.len() {
            let byte = input[used];
            let mut step = 1;
            let next = match self.part {
                Part::Beginning(begun) => self.beginning(begun, byte),
                Part::Line => self.line(byte),
                Part::Fixed => self.fixed(byte),
                Part::Addresses(left) => {
                    step = left.min(input.len() - used);
                    Ok(Part::Addresses(left - step))
                }
            };
            self.last = byte;
            // A header has at most 64 KiB.
            self.seen += step as u32;
            used += step;
            match next {
                Ok(Part::Addresses(0)) => return IsHeader::Ends(used),
                Ok(part) => self.part = part,
                Err(is_header) => return is_header,
            }
        }
        match self.part {
            Part::Beginning(_) => IsHeader::Perhaps,
            Part::Line | Part::Fixed | Part::Addresses(_) => IsHeader::Yes,
        }
    }

    fn beginning(&self, begun: usize, byte: u8) -> Result<Part, IsHeader> {
        let seen = self.seen as usize;
        let so_far = &BEGINNINGS[begun][..seen];
        let fits = |beginning: &&[u8]| {
            beginning.starts_with(so_far) && beginning.get(seen).is_some_and(|next| *next == byte)
        };
        let kind = BEGINNINGS.iter().position(fits).ok_or(IsHeader::No)?;
        Ok(match (seen + 1 == BEGINNINGS[kind].len(), kind) {
            (false, _) => Part::Beginning(kind),
            (true, VERSION_2) => Part::Fixed,
            (true, _) => Part::Line,
        })
    }

    /// Whatever version 1 says, it ends with its line.
    fn line(&self, byte: u8) -> Result<Part, IsHeader> {
        match (self.last, byte) {
            (b'\r', b'\n') => Ok(Part::Addresses(0)),
            _ if self.seen + 1 >= LINE_LIMIT => Err(IsHeader::Broken),
            _ => Ok(Part::Line),
        }
    }

    fn fixed(&self, byte: u8) -> Result<Part, IsHeader> {
        match self.seen {
            // Version 2, and one of its two commands: LOCAL and PROXY.
            12 if byte & 0xfe != 0x20 => Err(IsHeader::Broken),
            15 => {
                let length = u16::from_be_bytes([self.last, byte]);
                Ok(Part::Addresses(length.into()))
            }
            _ => Ok(Part::Fixed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADERS: [&[u8]; 6] = [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 80\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN whatever \r this is\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x34\0\x50",
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ];

    /// Goes over `stream` cut at these places, up to what tells: how many bytes those were, and
    /// what.
    fn told(stream: &[u8], cuts: &[usize]) -> (usize, IsHeader) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let mut header = Header::default();
        let mut at = 0;
        let mut is_header = IsHeader::Perhaps;
        for end in ends {
            is_header = header.advance(&stream[at..end]);
            match is_header {
                IsHeader::Ends(used) => return (at + used, IsHeader::Ends(0)),
                IsHeader::Perhaps | IsHeader::Yes => at = end,
                IsHeader::No | IsHeader::Broken => return (at, is_header),
            }
        }
        (at, is_header)
    }

    /// Both versions, to their last byte and no further.
    #[test]
    fn headers_end_where_they_say() {
        for header in HEADERS {
            let stream = [header, b"GET / HTTP/1.1\r\n"].concat();
            let expected = (header.len(), IsHeader::Ends(0));
            let text = header.escape_ascii();
            assert_eq!(told(&stream, &[]), expected, "{text}");
            let bytes: Vec<usize> = (0..stream.len()).collect();
            assert_eq!(told(&stream, &bytes), expected, "{text}");
        }
    }

    /// What begins in another way is something else; a line without an end, or a version that
    /// nobody knows, can't be read.
    #[test]
    fn other_beginnings_are_none() {
        for (stream, is_header) in [
            (&b"POST / HTTP/1.1\r\n"[..], IsHeader::No),
            (b"PRI * HTTP/2.0\r\n", IsHeader::No),
            (b"PROXY TNKNOWN\r\n", IsHeader::No),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", IsHeader::No),
            (b"\x16\x03\x01", IsHeader::No),
            (b"\r\n\r\n", IsHeader::Perhaps),
            (b"PROXY", IsHeader::Perhaps),
            (b"PROXY TCP4 1", IsHeader::Yes),
            (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", IsHeader::Broken),
        ] {
            assert_eq!(told(stream, &[]).1, is_header, "{}", stream.escape_ascii());
        }
        let endless = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
        assert_eq!(told(&endless, &[]).1, IsHeader::Broken);
    }

    proptest! {
        /// However it is cut, the same is told at the same place.
        #[test]
        fn no_split_changes_what_is_told(
            which in 0..HEADERS.len(),
            damage in prop::option::of((any::<usize>(), any::<u8>())),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            let mut stream = [HEADERS[which], b"GET"].concat();
            if let Some((place, byte)) = damage {
                let place = place % stream.len();
                stream[place] = byte;
            }
            let (at, is_header) = told(&stream, &cuts);
            let (whole_at, whole) = told(&stream, &[]);
            prop_assert_eq!(is_header, whole);
            prop_assert!(!matches!(whole, IsHeader::Ends(_)) || at == whole_at);
        }
    }
}
