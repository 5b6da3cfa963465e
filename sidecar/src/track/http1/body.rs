//! Where a message's body ends (RFC 9112, sections 6 and 7.1).

use crate::track::Odd;

/// How a body is delimited (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By Content-Length.
    Length(u64),
    /// By the chunked transfer coding.
    Chunked,
    /// By the end of the connection (responses only).
    UntilClose,
}

/// A body that is going by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// A place in a chunked body (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::track) enum Chunk {
    /// In the size; the number of digits so far tells an empty size from 0.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the size: white space and extensions, up to the CR.
    Extension {
        size: u64,
    },
    /// After that CR.
    SizeEnd {
        size: u64,
    },
    /// The number of bytes of data to come.
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line; the empty one ends the body.
    TrailerStart,
    Trailer,
    /// After the CR of a trailer line.
    TrailerEnd,
    /// After the CR of the empty line.
    LastLf,
}

impl Framing {
    /// The body to watch; `None` if there is none.
    pub(super) fn body(self) -> Option<Body> {
        match self {
            Framing::None | Framing::Length(0) => None,
            Framing::Length(length) => Some(Body::Length(length)),
            Framing::Chunked => Some(Body::Chunked(Chunk::default())),
            Framing::UntilClose => Some(Body::UntilClose),
        }
    }
}

impl Body {
    /// Goes over `input`: how many bytes belong to the body, and whether it ended with them.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<(usize, bool), Odd> {
        match self {
            Body::Length(left) => {
                let used = shorter(*left, input.len());
                *left -= used as u64;
                Ok((used, *left == 0))
            }
            Body::UntilClose => Ok((input.len(), false)),
            Body::Chunked(chunk) => {
                let mut used = 0;
                while used < input.len() {
                    let data = chunk.take_data(input.len() - used);
                    if data > 0 {
                        used += data;
                        continue;
                    }
                    let next = chunk.after(input[used])?;
                    used += 1;
                    match next {
                        Some(next) => *chunk = next,
                        None => return Ok((used, true)),
                    }
                }
                Ok((used, false))
            }
        }
    }
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk::Size { size: 0, digits: 0 }
    }
}

impl Chunk {
    /// True where a chunk begins.
    pub(in crate::track) fn is_first_of_size(self) -> bool {
        self == Chunk::default()
    }

    /// Goes over data: how many of the next `available` bytes that is.
    pub(in crate::track) fn take_data(&mut self, available: usize) -> usize {
        let Chunk::Data(left) = self else {
            return 0;
        };
        let data = shorter(*left, available);
        *left -= data as u64;
        if *left == 0 {
            *self = Chunk::DataCr;
        }
        data
    }

    /// The place after one byte that is no data; `None` after the last byte of the body.
    pub(in crate::track) fn after(self, byte: u8) -> Result<Option<Chunk>, Odd> {
        let next = match (self, byte) {
            (Chunk::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Sixteen digits are all of a u64; more would be somebody's attempt at overflow.
                if digits == 16 {
                    return Err(Odd::Framing);
                }
                let digit = char::from(byte).to_digit(16).ok_or(Odd::Framing)?;
                Chunk::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (Chunk::Size { digits: 0, .. }, _) => return Err(Odd::Framing),
            (Chunk::Size { size, .. } | Chunk::Extension { size }, b'\r') => {
                Chunk::SizeEnd { size }
            }
            (Chunk::Size { size, .. }, b';' | b' ' | b'\t') => Chunk::Extension { size },
            (Chunk::Extension { .. }, b'\n' | 0) => return Err(Odd::Framing),
            (Chunk::Extension { size }, _) => Chunk::Extension { size },
            (Chunk::SizeEnd { size: 0 }, b'\n') => Chunk::TrailerStart,
            (Chunk::SizeEnd { size }, b'\n') => Chunk::Data(size),
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::default(),
            (Chunk::TrailerStart, b'\r') => Chunk::LastLf,
            (Chunk::TrailerStart | Chunk::Trailer, b'\n' | 0) => return Err(Odd::Framing),
            (Chunk::Trailer, b'\r') => Chunk::TrailerEnd,
            (Chunk::TrailerStart | Chunk::Trailer, _) => Chunk::Trailer,
            (Chunk::TrailerEnd, b'\n') => Chunk::TrailerStart,
            (Chunk::LastLf, b'\n') => return Ok(None),
            _ => return Err(Odd::Framing),
        };
        Ok(Some(next))
    }
}

fn shorter(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}
