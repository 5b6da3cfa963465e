//! Event streams (HTML Living Standard, "Server-sent events") in a chunked body: where an event
//! ends exactly with a chunk, so that the body can end there as well.

use super::http1::Chunk;
use super::{Odd, Step};

/// How many bytes at the end of some text show whether an event ends there: two line ends.
const TELLING: usize = 4;

/// Tracks the bytes of one chunked body, of which the text is an event stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventStream {
    chunk: Chunk,
    place: Place,
}

/// After a chunk whose last line is empty: no event is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary;

/// A place in the text. Lines end with LF, CR, or both; an empty line ends an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In a line, or before the first.
    #[default]
    Inside,
    /// After the CR of a line with something in it.
    Cr,
    /// After the LF of one.
    Lf,
    /// After the CR of an empty line, in a text whose lines end with LF: another is to come.
    EmptyCr,
    /// After the CR of an empty line, in a text whose lines end with CR alone.
    EmptyLoneCr,
    /// After the LF of an empty line.
    EmptyLf,
}

impl EventStream {
    /// True after a [`Boundary`], if nothing came since.
    pub fn is_between_events(&self) -> bool {
        let empty = matches!(self.place, Place::EmptyLf | Place::EmptyLoneCr);
        empty && self.chunk.is_first_of_size()
    }

    /// Goes over `input` up to the next boundary. Call it until it has none to report, with what it
    /// did not use; not after the end of the body, where it uses nothing.
    ///
    /// # Errors
    ///
    /// The chunks are odd.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<Boundary>, Odd> {
        let mut used = 0;
        while used < input.len() {
            let data = self.chunk.take_data(input.len() - used);
            if data > 0 {
                self.place = self.place.behind(&input[used..used + data]);
                used += data;
                continue;
            }
            let Some(next) = self.chunk.after(input[used])? else {
                break;
            };
            self.chunk = next;
            used += 1;
            if self.is_between_events() {
                let event = Some(Boundary);
                return Ok(Step { used, event });
            }
        }
        Ok(Step { used, event: None })
    }
}

impl Place {
    fn behind(self, text: &[u8]) -> Place {
        let (from, end) = match text.len().checked_sub(TELLING) {
            Some(start) => (Place::Inside, &text[start..]),
            None => (self, text),
        };
        end.iter().fold(from, |place, byte| match (place, byte) {
            (Place::Inside, b'\r') => Place::Cr,
            (Place::Inside | Place::Cr, b'\n') => Place::Lf,
            (Place::Lf | Place::EmptyLf, b'\r') => Place::EmptyCr,
            (_, b'\r') => Place::EmptyLoneCr,
            (_, b'\n') => Place::EmptyLf,
            _ => Place::Inside,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::pieces::track;
    use proptest::prelude::*;

    fn body(chunks: &[&str]) -> Vec<u8> {
        let chunk = |text: &&str| format!("{:x};e=1\r\n{text}\r\n", text.len());
        let chunks: String = chunks.iter().map(chunk).collect();
        chunks.into_bytes()
    }

    fn boundaries(stream: &[u8], cuts: &[usize]) -> Vec<usize> {
        let mut events = EventStream::default();
        let (told, odd) = track(stream, cuts, |input| events.advance(input));
        assert_eq!(odd, None);
        told.into_iter().map(|(at, _)| at).collect()
    }

    /// A boundary is after a chunk that ends with an empty line, however the text's lines end and
    /// however its events are cut into chunks.
    #[test]
    fn a_boundary_is_an_event_s_and_a_chunk_s_end() {
        for (chunks, is_one) in [
            (&["data: a\n\n"][..], true),
            (&["data: a\r\n\r\n"], true),
            (&["data: a\r\r"], true),
            (&[":\n", "\n"], true),
            (&[":\r\n", "\r\n"], true),
            (&[":\r\n\r", "\n"], true),
            (&["data: a\n\ndata: b\n\n"], true),
            (&["data: a\n\n\n"], true),
            (&["data: a"], false),
            (&["data: a\n"], false),
            (&["data: a\r\n"], false),
            (&["data: a\n\ndata: b\n"], false),
            (&["data: a\n\n", "data: b"], false),
            (&["data: a\n", "data: b\n"], false),
            (&["data: a\r\n\r"], false),
            (&[], false),
        ] {
            let stream = body(chunks);
            let last = boundaries(&stream, &[]).last() == Some(&stream.len());
            assert_eq!(last, is_one, "{chunks:?}");
        }
        let stream = body(&["data: a\n\n", "data: b\n", "data: c\n\n", "\n"]);
        assert_eq!(boundaries(&stream, &[]).len(), 3);
    }

    /// After the last chunk there is nothing to end.
    #[test]
    fn the_body_s_own_end_is_no_boundary() {
        let mut events = EventStream::default();
        let stream = [&body(&["a\n\n"])[..], b"0\r\n\r\n"].concat();
        let first = events.advance(&stream).unwrap();
        assert!(first.event.is_some() && events.is_between_events());
        let rest = events.advance(&stream[first.used..]).unwrap();
        assert_eq!(rest.event, None);
        assert!(!events.is_between_events());
    }

    proptest! {
        /// No split changes where the boundaries are, and each is where a reader of the whole text
        /// would see one.
        #[test]
        fn no_split_changes_the_boundaries(
            chunks in prop::collection::vec("[a\r\n]{1,6}", 0..8),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let chunks: Vec<&str> = chunks.iter().map(|text| &**text).collect();
            let stream = body(&chunks);
            let told = boundaries(&stream, &cuts);
            prop_assert_eq!(&told, &boundaries(&stream, &[]));
            let mut text = String::new();
            let mut length = 0;
            for chunk in chunks {
                text.push_str(chunk);
                length += body(&[chunk]).len();
                if told.contains(&length) {
                    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
                    prop_assert!(lines.ends_with("\n\n"), "{:?}", text);
                }
            }
        }
    }
}
