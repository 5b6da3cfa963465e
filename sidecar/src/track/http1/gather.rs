//! Finding the end of a head in any split of the stream.

use super::head::Head;
use crate::track::Odd;
use memchr::memchr2;

/// The longest head that is understood; what is longer is opaque. Common servers stop at 8 to
/// 32 KiB.
pub const HEAD_LIMIT: usize = 64 * 1024;

/// The bytes of a head, gathered over any number of reads, and looked at once each.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Empty as long as nothing came; a head that comes in one read is never copied.
    bytes: Vec<u8>,
    line: Line,
    /// The first line is complete, and was looked at.
    first_line: bool,
}

/// A place in a line of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Start,
    Inside,
    /// After the CR of a line with something in it.
    Cr,
    /// After the CR of an empty line.
    LastCr,
}

/// A CR without its LF, or the other way round, which shows at this byte of the input.
struct Bare {
    at: usize,
}

// === impl Gathered ===

impl Gathered {
    /// Adds `input`. If the head ends in it, returns how many bytes of it belong to the head, and
    /// what the whole head says, read with what is `known`. If not, keeps it all and returns
    /// `None`.
    pub(super) fn add<H: Head>(
        &mut self,
        input: &[u8],
        known: H::Known,
    ) -> Result<Option<(usize, H)>, Odd> {
        let end = match self.find_end(input) {
            Ok(end) => end,
            Err(Bare { at }) => {
                let odd = match self.bytes.len() + at {
                    HEAD_LIMIT.. => Odd::TooMany,
                    _ => Odd::Malformed,
                };
                return Err(self.doubt::<H>(odd, &input[..=at]));
            }
        };
        if self.bytes.len() + end.unwrap_or(input.len()) > HEAD_LIMIT {
            return Err(self.doubt::<H>(Odd::TooMany, input));
        }
        let Some(end) = end else {
            self.bytes.extend_from_slice(input);
            if !self.first_line {
                // The first bytes are looked at in every piece, the line once, when it is complete:
                // no split makes this expensive.
                self.first_line = input.contains(&b'\n');
                let line_fits = !self.first_line || H::first_line_fits(&self.bytes);
                if !line_fits || !H::begins(&self.bytes) {
                    return Err(Odd::NotHttp);
                }
            }
            return Ok(None);
        };
        let head = if self.bytes.is_empty() {
            whole(&input[..end], known)?
        } else {
            self.bytes.extend_from_slice(&input[..end]);
            whole(&self.bytes, known)?
        };
        Ok(Some((end, head)))
    }

    /// Forgets the head, and its memory: an idle connection holds none.
    pub(super) fn clear(&mut self) {
        *self = Gathered::default();
    }

    /// Why what can't be a head up to the end of `input` is odd: for this reason, unless it never
    /// began like a head. The same in every split: what comes after the limit is not looked at.
    fn doubt<H: Head>(&mut self, odd: Odd, input: &[u8]) -> Odd {
        let rest = HEAD_LIMIT + 1 - self.bytes.len();
        self.bytes
            .extend_from_slice(&input[..rest.min(input.len())]);
        let line_fits = !self.bytes.contains(&b'\n') || H::first_line_fits(&self.bytes);
        match line_fits && H::begins(&self.bytes) {
            true => odd,
            false => Odd::NotHttp,
        }
    }

    /// Looks for the empty line. A bare CR or LF (RFC 9112, section 2.2) is read differently by
    /// different servers.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, Bare> {
        let mut index = 0;
        while index < input.len() {
            self.line = match (self.line, input[index]) {
                (Line::Inside, b'\r') => Line::Cr,
                (Line::Start, b'\r') => Line::LastCr,
                (Line::Cr, b'\n') => Line::Start,
                (Line::LastCr, b'\n') => return Ok(Some(index + 1)),
                (Line::Cr | Line::LastCr, _) | (_, b'\n') => return Err(Bare { at: index }),
                (Line::Start | Line::Inside, _) => {
                    // Only the ends of lines matter: the way to the next is one search.
                    let rest = &input[index + 1..];
                    index += memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    Line::Inside
                }
            };
            index += 1;
        }
        Ok(None)
    }
}

/// Reads a complete head.
fn whole<H: Head>(bytes: &[u8], known: H::Known) -> Result<H, Odd> {
    if H::begins(bytes) && H::first_line_fits(bytes) {
        H::read(bytes, known)
    } else {
        Err(Odd::NotHttp)
    }
}
