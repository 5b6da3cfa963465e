use super::*;
use crate::track::pieces::any_cut;
use std::fs;
use std::path::Path;

/// Plays the corpus of a fuzz target: the fewest inputs that reach all that any has reached.
fn replay(target: &str, play: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        play(&fs::read(&file).unwrap());
    }
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
