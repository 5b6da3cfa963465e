//! What comes out is what went in: for every protocol, lawful or damaged, however it is cut and
//! mixed, and whatever the pod does meanwhile.

use super::conversations::{acts, any_protocol, damaged};
use super::*;
use ebb_api::connections::{EventStreams, WebSocketCode, WebSockets};

fn pauses() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..20_000u32).prop_map(|millis| Act::Wait(millis * MS)),
        (0..300u32).prop_map(|millis| Act::Wait(millis * MS)),
    ]
}

fn policy() -> impl Strategy<Value = Act> {
    let streams = prop::sample::select(vec![EventStreams::End, EventStreams::Wait]);
    let sockets = prop::sample::select(vec![WebSockets::Goodbye, WebSockets::Wait]);
    let codes = prop::sample::select(vec![1000, 1001, 1012, 4000]);
    (streams, sockets, codes).prop_map(|(event_streams, web_sockets, code)| {
        Act::Policy(ConnectionSettings {
            event_streams,
            web_sockets,
            web_socket_code: WebSocketCode::from(code),
            ..ConnectionSettings::default()
        })
    })
}

fn anything() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => pauses(),
        4 => Just(Act::Leave),
        1 => Just(Act::Stay),
        1 => Just(Act::ClientEnds),
        1 => Just(Act::AppEnds),
        1 => Just(Act::Cut),
        2 => policy(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// While serving nothing changes, and nothing is held for a moment.
    #[test]
    fn serving_changes_nothing(acts in acts(any_protocol(), pauses())) {
        let played = Played::all(&acts);
        prop_assert!(played.is_ok_and(|played| !played.is_over()));
    }

    /// Nor if what is said breaks its protocol's rules.
    #[test]
    fn serving_changes_nothing_that_is_damaged(acts in acts(damaged(any_protocol()), pauses())) {
        let played = Played::all(&acts);
        prop_assert!(played.is_ok_and(|played| !played.is_over()));
    }

    /// Whatever the pod does, the difference is the goodbye's own words.
    #[test]
    fn leaving_changes_only_the_goodbye(acts in acts(any_protocol(), anything())) {
        let played = Played::all(&acts).map(|_| ());
        prop_assert_eq!(played, Ok(()));
    }

    /// Doubt costs a goodbye at most, never a byte.
    #[test]
    fn leaving_changes_nothing_else_that_is_damaged(
        acts in acts(damaged(any_protocol()), anything()),
    ) {
        let played = Played::all(&acts).map(|_| ());
        prop_assert_eq!(played, Ok(()));
    }
}
