use super::*;
use crate::track::pieces::{Told, track};
use proptest::prelude::*;

/// A client's frame; its first byte tells kind and end.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..=125 => frame.push(0x80 | length as u8),
        length @ ..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(b"mask");
    frame.extend_from_slice(payload);
    frame
}

/// What ended, where, and whether all was plausible.
fn tracked(mut frames: Frames, stream: &[u8], cuts: &[usize]) -> Told<Ended> {
    track(stream, cuts, |input| frames.advance(input))
}

/// Frames of every length end where they say; a message ends with its last part, whatever control
/// frames come between.
#[test]
fn what_ends_messages() {
    let frames = [
        masked(0x81, b""),
        masked(0xc2, &[1; 125]),
        masked(0x01, &[1; 126]),
        masked(0x89, b"ping"),
        masked(0x00, &[1; 0x1_0000]),
        masked(0x80, b"end"),
        masked(0x8a, b""),
        masked(0x88, b""),
    ];
    let (told, odd) = tracked(Frames::of_client(), &frames.concat(), &[]);
    let told: Vec<Ended> = told.into_iter().map(|(_, ended)| ended).collect();
    use Ended::{Close, Frame, Message};
    let expected = [Message, Message, Frame, Frame, Frame, Message, Frame, Close];
    assert_eq!((&told[..], odd), (&expected[..], None));
}

/// What breaks the rules is odd at its first two bytes.
#[test]
fn doubt_is_odd() {
    for stream in [
        &[0x81, 0x01][..],
        &[0x80, 0x80],
        &[0x83, 0x80],
        &[0x8b, 0x80],
        &[0x09, 0x80],
        &[0x88, 0x80 | 126],
        &[0x01, 0x80, 0, 0, 0, 0, 0x81],
        &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(
            tracked(Frames::of_client(), stream, &[]).1,
            Some(Odd::Malformed),
            "{stream:?}"
        );
    }
    assert_eq!(
        tracked(Frames::of_app(), &[0x81, 0x81], &[]).1,
        Some(Odd::Malformed)
    );
}

proptest! {
    /// However a stream is cut, the same ends at the same places, and nothing panics.
    #[test]
    fn no_split_changes_what_is_told(
        frames in prop::collection::vec(
            (prop::sample::select(vec![0x81u8, 0x01, 0x00, 0x80, 0x89, 0x88, 0x83]), 0..300usize),
            0..8,
        ),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut stream: Vec<u8> = frames
            .iter()
            .flat_map(|(first, length)| masked(*first, &vec![0; *length]))
            .collect();
        stream.extend_from_slice(&noise);
        for frames in [Frames::of_client(), Frames::of_app()] {
            prop_assert_eq!(tracked(frames, &stream, &cuts), tracked(frames, &stream, &[]));
        }
    }
}
