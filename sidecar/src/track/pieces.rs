//! Feeds trackers in tests and for fuzzing: a whole stream, cut into any pieces.

use super::{Odd, Step};

/// What a tracker told about a whole stream: each event with the place it ended at, and where it
/// stopped understanding.
pub(crate) type Told<E> = (Vec<(usize, E)>, Option<Odd>);

/// Feeds `stream` in pieces that end at `cuts`.
pub(crate) fn track<E>(
    stream: &[u8],
    cuts: &[usize],
    mut advance: impl FnMut(&[u8]) -> Result<Step<E>, Odd>,
) -> Told<E> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut told = Vec::new();
    let mut at = 0;
    for end in ends {
        loop {
            match advance(&stream[at..end]) {
                Err(odd) => return (told, Some(odd)),
                Ok(step) => {
                    at += step.used;
                    match step.event {
                        Some(event) => told.push((at, event)),
                        None => break,
                    }
                }
            }
        }
        assert_eq!(at, end, "without an event all of the input is used");
    }
    (told, None)
}
