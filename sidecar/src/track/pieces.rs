//! Feeds trackers in tests and for fuzzing: a whole stream, cut into any pieces.

use super::http1::{Method, Requests, Responses};
use super::http2::{App, Client};
use super::websocket::Frames;
use super::{Odd, Step};
use std::fmt::Debug;

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

/// Feeds a tracker, which the first byte names, with the rest: whole, byte by byte, and in two.
///
/// # Panics
///
/// What it tells depends on how the stream is cut.
pub fn any_cut(input: &[u8]) {
    let Some((which, stream)) = input.split_first() else {
        return;
    };
    let responses = |method: Option<Method>| {
        same(stream, || {
            let mut responses = Responses::default();
            move |input: &[u8]| responses.advance(input, method)
        });
    };
    match which % 9 {
        0 => same(stream, || {
            let mut requests = Requests::default();
            move |input: &[u8]| requests.advance(input)
        }),
        1 => responses(Some(Method::Other)),
        2 => responses(Some(Method::Head)),
        3 => responses(Some(Method::Connect)),
        4 => responses(None),
        5 => same(stream, || {
            let mut client = Client::default();
            move |input: &[u8]| client.advance(input)
        }),
        6 => same(stream, || {
            let mut app = App::default();
            move |input: &[u8]| app.advance(input)
        }),
        7 => same(stream, || {
            let mut frames = Frames::of_client();
            move |input: &[u8]| frames.advance(input)
        }),
        _ => same(stream, || {
            let mut frames = Frames::of_app();
            move |input: &[u8]| frames.advance(input)
        }),
    }
}

fn same<E, A>(stream: &[u8], tracker: impl Fn() -> A)
where
    E: PartialEq + Debug,
    A: FnMut(&[u8]) -> Result<Step<E>, Odd>,
{
    let told = |cuts: &[usize]| -> Told<E> { track(stream, cuts, tracker()) };
    let whole = told(&[]);
    let bytes: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(told(&bytes), whole, "byte by byte, and whole");
    assert_eq!(told(&[stream.len() / 2]), whole, "in two, and whole");
}
