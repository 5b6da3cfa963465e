//! Trackers alone: what they tell must not depend on how the stream was cut.

use crate::track::http1::{Method, Requests, Responses};
use crate::track::http2::{App, Client};
use crate::track::pieces::{Told, track};
use crate::track::websocket::Frames;
use crate::track::{Odd, Step};
use std::fmt::Debug;

/// Feeds a tracker, which the first byte names, with the rest: whole, byte by byte, and in two.
pub(super) fn cut(input: &[u8]) {
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
