//! Whatever both sides say, however it is cut.

use super::*;

fn talk() -> impl Strategy<Value = Vec<Turn>> {
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
    let turn = prop_oneof![client.prop_map(Turn::Client), app.prop_map(Turn::App),];
    prop::collection::vec(turn, 0..16).prop_map(|turns| {
        let hello = [PREFACE, &settings()[..]].concat();
        let mut talk = vec![Turn::Client(hello), Turn::App(settings())];
        talk.extend(turns);
        talk
    })
}

/// Plays turns cut in pieces, the clock going on by so much behind each turn.
fn play_slowly(turns: &[Turn], cuts: &[usize], leaving: bool, pace: Duration) -> Played {
    let mut played = Played::new(leaving);
    for turn in turns {
        feed(&mut played, turn, cuts);
        played.pass(pace);
    }
    played
}

/// Whether the app's bytes came out whole and in order, up to some place, but for our own words.
fn differs_by_goodbyes(app: &[u8], mut heard: &[u8], over: bool) -> bool {
    let mut passed = 0;
    loop {
        let same = app[passed..]
            .iter()
            .zip(heard)
            .take_while(|(a, b)| a == b)
            .count();
        // Our words may begin with bytes that the app's next frame begins with too.
        let mut found = None;
        for back in 0..=same.min(17) {
            let at = same - back;
            let rest = &heard[at..];
            if rest.starts_with(&warning()) {
                found = Some((at, 34));
            } else if over && rest.len() == 17 && rest[3] == 7 {
                return true;
            }
        }
        match found {
            Some((at, length)) => {
                passed += at;
                heard = &heard[at + length..];
            }
            None => return same == heard.len() && (over || passed + same == app.len()),
        }
    }
}

proptest! {
    /// While serving nothing changes, whatever it is and however it is cut.
    #[test]
    fn serving_changes_nothing(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        pace in 0..2000u32,
    ) {
        let played = play_slowly(&turns, &cuts, false, pace * MS);
        prop_assert_eq!(&played.to_app, &said(&turns, true));
        prop_assert_eq!(&played.to_client, &said(&turns, false));
        prop_assert!(!played.over);
    }

    /// What is in flight and what is said does not depend on how the bytes were cut.
    #[test]
    fn no_split_changes_what_is_in_flight(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        leaving in any::<bool>(),
        pace in 0..2000u32,
    ) {
        let whole = play_slowly(&turns, &[], leaving, pace * MS);
        let cut = play_slowly(&turns, &cuts, leaving, pace * MS);
        prop_assert_eq!(cut.in_flight(), whole.in_flight());
        prop_assert_eq!(&cut.to_client, &whole.to_client);
        prop_assert_eq!(&cut.to_app, &whole.to_app);
        prop_assert_eq!(cut.over, whole.over);
    }

    /// While leaving the app's bytes differ by our words alone, and the client's by one PING's
    /// answer.
    #[test]
    fn leaving_changes_only_the_goodbye(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        pace in 0..2000u32,
    ) {
        let played = play_slowly(&turns, &cuts, true, pace * MS);
        let (client, app) = (said(&turns, true), said(&turns, false));
        prop_assert!(
            differs_by_goodbyes(&app, &played.to_client, played.over),
            "{:?} became {:?}", app, played.to_client
        );
        let same = client.iter().zip(&played.to_app).take_while(|(a, b)| a == b).count();
        let rest = &played.to_app[same..];
        let goes_on = (0..=same.min(16)).any(|back| {
            client[same - back..].strip_prefix(&pong()[..]).is_some_and(|behind| {
                let ours = &played.to_app[same - back..];
                behind.starts_with(ours)
            })
        });
        prop_assert!(rest.is_empty() || goes_on);
    }
}
