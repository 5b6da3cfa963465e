//! Whatever both sides say.

use super::*;

pub(in super::super) fn talk() -> impl Strategy<Value = Vec<Act>> {
    let client = prop_oneof![
        8 => (0..6u32).prop_map(|stream| request(2 * stream + 1)),
        2 => (0..6u32).prop_map(|stream| frame(3, 0, 2 * stream + 1, &[0; 4])),
        2 => (0..6u32).prop_map(|stream| frame(0, 0x1, 2 * stream + 1, b"body")),
        2 => (0..6u32).prop_map(|stream| {
            let stream = 2 * stream + 1;
            [frame(1, 0x1, stream, b"he"), frame(9, 0x4, stream, b"ad")].concat()
        }),
        2 => Just(pong()),
        1 => Just(settings()),
        1 => Just(frame(6, 0x1, 0, &[0; 8])),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let app = prop_oneof![
        8 => (0..6u32).prop_map(|stream| answer(2 * stream + 1)),
        2 => (0..6u32).prop_map(|stream| frame(3, 0, 2 * stream + 1, &[0; 4])),
        1 => (0..6u32).prop_map(|stream| frame(5, 0x4, 2 * stream + 1, &[0, 0, 0, 2])),
        1 => Just(answer(2)),
        1 => (0..12u32).prop_map(|last| go_away(last).to_vec()),
        1 => Just(frame(6, 0, 0, &PING)),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let turn = prop_oneof![client.prop_map(Act::Client), app.prop_map(Act::App),];
    prop::collection::vec(turn, 0..16).prop_map(|turns| {
        let hello = [PREFACE, &settings()[..]].concat();
        let mut talk = vec![Act::Client(hello), Act::App(settings())];
        talk.extend(turns);
        talk
    })
}
