//! Who holds a drain, in words.

use super::count::count;
use super::duration::seconds;
use super::size::size;
use ebb_api::report::{Holder, Protocol, WaitsFor};

/// "held by 10.244.1.9:41822 to port 8080 (request for 14s, 310 B in, 0 B out, waits for the app)",
/// the oldest first. `age` is how old the report is, in milliseconds. `None` if nobody is known.
pub fn held_by(holders: &[Holder], age: u64) -> Option<String> {
    let each: Vec<_> = holders.iter().map(|holder| one(holder, age)).collect();
    (!each.is_empty()).then(|| format!("held by {}", each.join(", ")))
}

fn one(holder: &Holder, age: u64) -> String {
    let noun = noun(holder.protocol);
    let what = match holder.in_flight {
        1 => noun.to_owned(),
        several => count(several, noun),
    };
    format!(
        "{} to port {} ({what} for {}, {} in, {} out, {})",
        holder.client,
        holder.port,
        seconds(holder.age_ms.saturating_add(age)),
        size(holder.received),
        size(holder.sent),
        waits_for(holder.waits_for)
    )
}

fn waits_for(waits_for: WaitsFor) -> &'static str {
    match waits_for {
        WaitsFor::App => "waits for the app",
        WaitsFor::Client => "waits for the client to take it",
        WaitsFor::Request => "waits for the rest of the request",
        WaitsFor::Silence => "waits for silence",
        WaitsFor::End => "waits for its end",
    }
}

/// What is in flight on a connection of that protocol.
pub(super) const fn noun(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 | Protocol::Http2 => "request",
        Protocol::EventStream => "event stream",
        Protocol::WebSocket => "WebSocket",
        Protocol::Tls => "TLS connection",
        Protocol::Opaque => "connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::holder;

    fn told(holder: Holder) -> String {
        held_by(&[holder], 0).unwrap()
    }

    /// Each is named by its connection and told apart by what it waits for.
    #[test]
    fn a_holder_is_named() {
        assert_eq!(
            told(holder()),
            "held by 10.244.1.9:41822 to port 8080 (request for 14s, 310 B in, 0 B out, waits for \
             the app)"
        );
        let upload = Holder {
            client: ([0xfd00, 0, 0, 0, 0, 0, 0, 7], 4000).into(),
            protocol: Protocol::Http2,
            in_flight: 12,
            received: 2_147_483_648,
            waits_for: WaitsFor::Client,
            ..holder()
        };
        assert_eq!(
            told(upload),
            "held by [fd00::7]:4000 to port 8080 (12 requests for 14s, 2.1 GB in, 0 B out, waits \
             for the client to take it)"
        );
    }

    /// What anything can wait for reads as a sentence does.
    #[test]
    fn what_is_waited_for_has_words() {
        for (waits_for, words) in [
            (WaitsFor::App, "waits for the app)"),
            (WaitsFor::Client, "waits for the client to take it)"),
            (WaitsFor::Request, "waits for the rest of the request)"),
            (WaitsFor::Silence, "waits for silence)"),
            (WaitsFor::End, "waits for its end)"),
        ] {
            let told = told(Holder {
                waits_for,
                ..holder()
            });
            assert!(told.ends_with(words), "{told}");
        }
    }

    /// Several are told in their order, older by what the report is; nobody is nobody.
    #[test]
    fn several_are_told_in_their_order() {
        let other = Holder {
            client: ([10, 244, 1, 9], 5).into(),
            age_ms: 900,
            ..holder()
        };
        let told = held_by(&[holder(), other], 6_000).unwrap();
        let (first, second) = told.split_once("), ").unwrap();
        assert!(first.contains("for 20s"), "{told}");
        assert!(
            second.starts_with("10.244.1.9:5 to port 8080 (request for 6s"),
            "{told}"
        );
        assert_eq!(held_by(&[], 0), None);
    }
}
