use super::*;
use crate::track::Odd;
use crate::track::pieces::{Told, track};
use proptest::prelude::*;

/// A frame of this type, flags and stream.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 5, 0, 0, 0x80, 0])
}

fn client(stream: &[u8], cuts: &[usize]) -> Told<ClientEvent> {
    let mut client = Client::default();
    track(stream, cuts, |input| client.advance(input))
}

fn app(stream: &[u8], cuts: &[usize]) -> Told<AppEvent> {
    let mut app = App::default();
    track(stream, cuts, |input| app.advance(input))
}

fn events<E>((told, odd): Told<E>) -> Vec<E> {
    assert_eq!(odd, None);
    told.into_iter().map(|(_, event)| event).collect()
}

/// A stream opens when its header block is complete, in one frame or more; what comes on it later
/// are trailers.
#[test]
fn what_opens_streams() {
    use ClientEvent::{Answered, Opened, Other, Reset, Takes};
    let stream = [
        settings(),
        frame(1, 0x4, 1, b"head"),
        frame(0, 0, 1, b"body"),
        frame(1, 0x5, 1, b"trailers"),
        frame(1, 0x1, 3, b"he"),
        frame(9, 0, 3, b"a"),
        frame(9, 0x4, 3, b"d"),
        frame(6, 0x1, 0, b"answered"),
        frame(6, 0, 0, b"question"),
        frame(8, 0, 0, &[0, 0, 0, 1]),
        frame(3, 0, 3, &[0, 0, 0, 8]),
        frame(0xbe, 0xff, 7, b"of a later age"),
    ];
    let told = events(client(&stream.concat(), &[]));
    let expected = [
        Takes(0x8000),
        Opened(1),
        Other,
        Other,
        Other,
        Other,
        Opened(3),
        Answered(*b"answered"),
        Other,
        Other,
        Reset(3),
        Other,
    ];
    assert_eq!(told, expected);
}

/// A stream ends with the frame that says so; interim answers say nothing, and an END_STREAM in
/// front of CONTINUATION counts after the last of them.
#[test]
fn what_ends_streams() {
    use AppEvent::{Ended, GoAway, Other, Promised, Reset, Takes};
    let stream = [
        settings(),
        frame(1, 0x4, 1, b"interim"),
        frame(1, 0x4, 1, b"head"),
        frame(0, 0x8, 1, b"\x01body\0"),
        frame(1, 0x5, 1, b"trailers"),
        frame(1, 0x1, 3, b"only a he"),
        frame(9, 0x4, 3, b"ad"),
        frame(0, 0x1, 5, b""),
        frame(5, 0xc, 5, &[1, 0x80, 0, 0, 2, b'x', 0]),
        frame(5, 0x0, 5, &[0, 0, 0, 4]),
        frame(9, 0x4, 5, b"x"),
        frame(3, 0, 7, &[0; 4]),
        frame(7, 0, 0, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, b'x']),
        frame(2, 0x1, 9, &[0; 5]),
    ];
    let told = events(app(&stream.concat(), &[]));
    let expected = [
        Takes(0x8000),
        Other,
        Other,
        Other,
        Ended(1),
        Other,
        Ended(3),
        Ended(5),
        Promised(2),
        Other,
        Promised(4),
        Reset(7),
        GoAway(LAST_STREAM),
        Other,
    ];
    assert_eq!(told, expected);
}

/// What breaks the rules of frames is odd before its payload has come.
#[test]
fn doubt_is_odd() {
    let begun = |bytes: Vec<u8>| [settings(), bytes].concat();
    for stream in [
        frame(6, 0, 0, &[0; 8]),
        frame(4, 1, 0, &[]),
        b"HTTP/1.1".to_vec(),
        b"\0\0\x0c\x04\0\0\0\0\x01".to_vec(),
    ] {
        assert_eq!(client(&stream, &[]).1, Some(Odd::NotHttp), "{stream:?}");
        assert_eq!(app(&stream, &[]).1, Some(Odd::NotHttp), "{stream:?}");
    }
    for stream in [
        begun(frame(0, 0, 0, b"x")),
        begun(frame(6, 0, 0, &[0; 7])),
        begun(frame(3, 0, 1, &[0; 5])),
        begun(frame(7, 0, 0, &[0; 7])),
        begun(frame(4, 0, 0, &[0; 7])),
        begun(frame(9, 0x4, 1, b"x")),
        begun([frame(1, 0, 1, b"x"), frame(0, 0, 1, b"x")].concat()),
        begun([frame(1, 0, 1, b"x"), frame(9, 0x4, 3, b"x")].concat()),
        begun(b"\x00\x40\x01\x00\0\0\0\0\x01".to_vec()),
    ] {
        assert_eq!(client(&stream, &[]).1, Some(Odd::Malformed), "{stream:?}");
        assert_eq!(app(&stream, &[]).1, Some(Odd::Malformed), "{stream:?}");
    }
    for stream in [
        begun(frame(1, 0, 2, b"x")),
        begun(frame(5, 0x4, 1, &[0; 4])),
    ] {
        assert_eq!(client(&stream, &[]).1, Some(Odd::Malformed), "{stream:?}");
    }
}

/// Longer frames are plausible when the other side has said that it takes them.
#[test]
fn longer_frames_are_taken_when_announced() {
    let stream = [settings(), frame(0, 0, 1, &[0; (1 << 14) + 1])].concat();
    assert_eq!(app(&stream, &[]).1, Some(Odd::Malformed));
    let mut app = App::default();
    app.allow(1 << 15);
    app.allow(1 << 14);
    assert_eq!(track(&stream, &[], |input| app.advance(input)).1, None);
}

/// Frames of all kinds, most of them lawful.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let one =
        (0..11u8, any::<u8>(), 0..6u32, 0..20usize).prop_map(|(kind, flags, stream, length)| {
            let stream = match kind {
                4 | 6 | 7 => 0,
                _ => stream,
            };
            let length = match kind {
                2 => 5,
                3 | 8 => 4,
                4 => 6 * usize::from(flags & 1 == 0),
                6 => 8,
                _ => length,
            };
            frame(kind, flags, stream, &vec![0; length])
        });
    prop::collection::vec(one, 0..12).prop_map(|frames| [settings(), frames.concat()].concat())
}

proptest! {
    /// However a stream is cut, the same is told at the same places, and no input makes a tracker
    /// panic.
    #[test]
    fn no_split_changes_what_is_told(
        mut stream in frames(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        mangled in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        if let Some((place, byte)) = mangled {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        prop_assert_eq!(client(&stream, &cuts), client(&stream, &[]));
        prop_assert_eq!(app(&stream, &cuts), app(&stream, &[]));
    }

    /// Noise is no HTTP/2, or it is; either way nothing breaks.
    #[test]
    fn noise_never_panics(stream in prop::collection::vec(any::<u8>(), 0..200)) {
        client(&[settings(), stream.clone()].concat(), &[]);
        app(&stream, &[]);
    }
}
