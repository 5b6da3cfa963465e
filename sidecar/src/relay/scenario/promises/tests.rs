use super::*;
use crate::track::pieces::any_cut;
use std::fs;
use std::path::Path;

/// Plays the corpus of a fuzz target: the fewest inputs that reach all that any has reached. They
/// stand one after the other in a file, each after its length (`cargo xtask fuzz` writes it).
fn replay(target: &str, play: impl Fn(&[u8])) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(format!("{target}.corpus"));
    let corpus = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut rest = &corpus[..];
    let mut number = 0;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length);
        let (input, after) = after.split_at(usize::try_from(length).unwrap());
        // Where `cargo xtask fuzz` unpacks it.
        println!("target/fuzz/kept/{target}/{number:05}");
        play(input);
        rest = after;
        number += 1;
    }
    assert!(rest.is_empty(), "{} is cut off", file.display());
    assert!(number > 0, "{} is empty", file.display());
}

#[test]
fn the_corpus_of_trackers() {
    replay("trackers", any_cut);
}

#[test]
fn the_corpus_of_opening() {
    replay("opening", |script| hold(Start::Nothing, script));
}

#[test]
fn the_corpus_of_http1() {
    replay("http1", |script| hold(Start::Nothing, script));
}

#[test]
fn the_corpus_of_http2() {
    replay("http2", |script| hold(Start::Http2, script));
}

#[test]
fn the_corpus_of_http2_upgrade() {
    replay("http2_upgrade", |script| hold(Start::Http2Upgrade, script));
}

#[test]
fn the_corpus_of_websocket() {
    replay("websocket", |script| hold(Start::WebSocket, script));
}

#[test]
fn the_corpus_of_event_stream() {
    replay("event_stream", |script| hold(Start::EventStream, script));
}
