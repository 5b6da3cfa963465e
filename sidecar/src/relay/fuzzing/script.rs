//! A scenario as bytes: mostly what the two sides say, as it is, so that a fuzzer can mutate it in
//! any place; bytes from [`LITERAL`] on stand for everything else that happens.

use std::time::Duration;

/// The next byte is said, whatever it is.
const LITERAL: u8 = 0xf0;
/// From here on the client speaks, in a piece of its own. It begins.
const CLIENT: u8 = 0xf1;
/// From here on the app speaks.
const APP: u8 = 0xf2;
/// Time passes; the next byte says how much of it.
const TIME: u8 = 0xf3;

/// The longest script that is played: what happens later happens earlier, too.
const LONGEST: usize = 4096;

/// Something that happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    ClientSays(Vec<u8>),
    AppSays(Vec<u8>),
    Time(Duration),
    /// The pod leaves.
    Leave,
    /// It stays after all.
    Stay,
    /// The app goes.
    Close,
    /// The deadline comes.
    Cut,
    ClientEnds,
    AppEnds,
    AppResets,
    /// Nobody listens at the app's port any more.
    AppStops,
    /// The client takes nothing more.
    ClientStalls,
    /// It takes again.
    ClientTakes,
}

/// Reads a script, which means something whatever it is.
pub(super) fn read(script: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut words = Vec::new();
    let mut by_client = true;
    let mut bytes = script.iter().copied().take(LONGEST);
    while let Some(byte) = bytes.next() {
        let happens = match byte {
            LITERAL => {
                words.extend(bytes.next());
                continue;
            }
            CLIENT | APP => None,
            TIME => Some(Step::Time(time(bytes.next().unwrap_or_default()))),
            0xf4 => Some(Step::Leave),
            0xf5 => Some(Step::Stay),
            0xf6 => Some(Step::ClientEnds),
            0xf7 => Some(Step::AppEnds),
            0xf8 => Some(Step::AppResets),
            0xf9 => Some(Step::Cut),
            0xfa => Some(Step::ClientStalls),
            0xfb => Some(Step::ClientTakes),
            0xfc => Some(Step::Close),
            0xfd => Some(Step::AppStops),
            said => {
                words.push(said);
                continue;
            }
        };
        say(&mut words, by_client, &mut steps);
        match happens {
            None => by_client = byte == CLIENT,
            Some(step) => steps.push(step),
        }
    }
    say(&mut words, by_client, &mut steps);
    steps
}

fn say(words: &mut Vec<u8>, by_client: bool, steps: &mut Vec<Step>) {
    if !words.is_empty() {
        let words = std::mem::take(words);
        steps.push(if by_client {
            Step::ClientSays(words)
        } else {
            Step::AppSays(words)
        });
    }
}

/// Milliseconds one by one, then tenths of a second, up to 12.8 s.
fn time(byte: u8) -> Duration {
    let byte = u64::from(byte);
    Duration::from_millis(match byte {
        0..128 => byte,
        _ => (byte - 127) * 100,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Control bytes cut what is said; a literal one is said.
    #[test]
    fn bytes_are_words_and_events() {
        assert_eq!(
            read(b"GET\xf1 /\xf4\xf2\xf0\xf0\xff\xf3\x0a\xf3\x80"),
            [
                Step::ClientSays(b"GET".to_vec()),
                Step::ClientSays(b" /".to_vec()),
                Step::Leave,
                Step::AppSays(vec![0xf0, 0xff]),
                Step::Time(Duration::from_millis(10)),
                Step::Time(Duration::from_millis(100)),
            ]
        );
    }
}
