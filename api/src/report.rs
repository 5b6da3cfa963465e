//! What a sidecar says about itself: while it lives ([`Report`]) and when it ends
//! ([`FinalReport`]).
//!
//! Durations cross the wire, never instants: the two sides' clocks are not compared anywhere.

mod holder;
mod leaving;
mod parts;

pub use holder::{HOLDERS, Holder, WaitsFor};
pub use leaving::Leaving;
pub use parts::Parts;

use crate::capture::{Mode, Step};
use crate::desired::Revision;
use crate::phase::{Outcome, Phase, Trigger};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// What flows on a connection, as far as the relay can tell without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
    /// WebSocket, by upgrade from HTTP/1.
    WebSocket,
    /// Anything else, or what the relay is not sure of. To a reader of an older version also what
    /// only newer ones know.
    Opaque,
    /// TLS, which is not opened.
    Tls,
    /// HTTP/1 for as long as an answer of it is an event stream (`text/event-stream`).
    EventStream,
}

impl Protocol {
    /// All of them, each at the place of its number.
    pub const ALL: [Protocol; 6] = [
        Protocol::Http1,
        Protocol::Http2,
        Protocol::WebSocket,
        Protocol::Opaque,
        Protocol::Tls,
        Protocol::EventStream,
    ];

    /// Its one spelling: on the wire, in logs, status and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Http1 => "Http1",
            Protocol::Http2 => "Http2",
            Protocol::WebSocket => "WebSocket",
            Protocol::Opaque => "Opaque",
            Protocol::Tls => "Tls",
            Protocol::EventStream => "EventStream",
        }
    }

    /// True if nothing is known of it but who spoke, and when.
    pub fn is_opaque(self) -> bool {
        matches!(self, Protocol::Opaque | Protocol::Tls)
    }
}

/// The state of a sidecar: the body of `GET /v1/status`, and each line of its stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The pod's UID.
    pub pod: String,
    /// A random word of this start of the sidecar.
    pub boot: String,
    /// The highest revision accepted.
    pub revision: Revision,
    /// The mode that the sidecar runs in.
    pub mode: Mode,
    /// Why that is not the mode that was asked for, and what it lacks; empty if all is as it should
    /// be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How far the pod has come.
    pub phase: Phase,
    /// The drain that is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// What is open now.
    pub now: Census,
    /// The memory of its container; `None` where it has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Hook calls that were refused since the start: they carried the pod's token, came from where
    /// kubelet never calls from, and the controller said that the pod stays.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_hooks: u64,
    /// The last drain that ended since this start, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Drain>,
}

/// The memory of a sidecar's container, as its control group counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Its limit, in bytes.
    pub limit_bytes: u64,
    /// How much of that is used, in bytes; what the kernel keeps of files is part of it.
    pub used_bytes: u64,
    /// For how long new connections have been waiting until there is more, in milliseconds; `None`
    /// if they don't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_ms: Option<u64>,
}

/// What is open at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Census {
    /// Open connections by protocol.
    #[serde(deserialize_with = "by_protocol")]
    pub connections: BTreeMap<Protocol, u64>,
    /// Requests and opaque connections in flight, by protocol.
    #[serde(deserialize_with = "by_protocol")]
    pub in_flight: BTreeMap<Protocol, u64>,
    /// The age of the oldest of those, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
    /// The connections with the oldest of those, the oldest first.
    #[serde(
        default,
        deserialize_with = "holder::known",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub holders: Vec<Holder>,
    /// How many of the connections reach the app past the relay.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bypassing: u64,
}

/// A drain that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Why the pod left.
    pub trigger: Trigger,
    /// How it ended.
    pub outcome: Outcome,
    /// From the signal to the release of the hooks, in milliseconds.
    pub took_ms: u64,
    /// What that time went to.
    #[serde(default)]
    pub parts: Parts,
    /// From the signal to the end of the lame-duck phase, in milliseconds; `None` if it never
    /// ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistered_ms: Option<u64>,
    /// From the signal until the controller said that the endpoints are gone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints_gone_ms: Option<u64>,
    /// Requests and opaque connections that finished after the signal. On connections that don't
    /// pass the sidecar (all of them, in the mode Observe) only those that were seen to.
    pub finished: u64,
    /// Connections that don't pass the sidecar and went while somebody waited: whether that
    /// finished or was lost, nobody has seen.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u64,
    /// Requests and opaque connections cut at the end, by protocol.
    #[serde(
        default,
        deserialize_with = "by_protocol",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub cut: BTreeMap<Protocol, u64>,
    /// Requests and opaque connections that the app broke off, by protocol: it closed or reset its
    /// side, or its process ended, before the answer was whole and while the client waited for it.
    #[serde(
        default,
        deserialize_with = "by_protocol",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub broken: BTreeMap<Protocol, u64>,
    /// Requests and opaque connections that their clients gave up before the answer was whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: u64,
    /// Requests and opaque connections in flight, by protocol, when Ebb stood aside in the middle
    /// of the drain, since the policy was disabled or selected the pod no more: nobody waited for
    /// them from then on. Those that finish all the same before the process ends are taken out
    /// again.
    #[serde(
        default,
        deserialize_with = "by_protocol",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub abandoned: BTreeMap<Protocol, u64>,
    /// Opaque connections that were in flight at the deadline and not cut, because the policy hands
    /// them over to the app's own shutdown. Those among them that the end of the process cuts after
    /// all are in `cut` too, in a [`FinalReport`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub handed_over: u64,
    /// The age of the oldest that was cut, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_cut_ms: Option<u64>,
    /// Idle connections closed without having been told to leave.
    pub idle_closed: u64,
    /// Opaque connections on which only the client had spoken, closed after their silence: whether
    /// the app was done with what they had brought, nobody but the app can tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub one_way_closed: u64,
    /// New work that came after the endpoints were gone (without a controller: after the signal).
    pub late: u64,
    /// Connections that reached the app past the relay: those open at the signal and later ones.
    /// They were waited for; nobody on them was told to leave.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bypassing: u64,
    /// Who held the drain when its timeout, the grace period or the process ended it: the oldest
    /// that were in flight then, as far as there is room for them.
    #[serde(
        default,
        deserialize_with = "holder::known",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub holders: Vec<Holder>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Drain {
    /// How many requests and opaque connections were cut in all.
    pub fn cut_in_all(&self) -> u64 {
        in_all(&self.cut)
    }

    /// How many the app broke off in all.
    pub fn broken_in_all(&self) -> u64 {
        in_all(&self.broken)
    }

    /// How many were abandoned in all.
    pub fn abandoned_in_all(&self) -> u64 {
        in_all(&self.abandoned)
    }
}

/// The numbers may come from a sidecar; none of them is taken on trust.
fn in_all(numbers: &BTreeMap<Protocol, u64>) -> u64 {
    let each = numbers.values();
    each.fold(0, |sum, number| sum.saturating_add(*number))
}

/// The termination message of the sidecar's container, as JSON: at most what kubelet keeps of it,
/// and in the pod's status before the object goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalReport {
    /// The start that this is the end of.
    pub boot: String,
    /// The mode that the sidecar ran in.
    pub mode: Mode,
    /// The policy in force at the end, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The drain that ended the pod; `None` if the process ended without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
}

/// Numbers by protocol, of which a newer sidecar may know more than this reader: those count as
/// opaque, so that none is lost and the rest of the report is not either.
fn by_protocol<'de, D: Deserializer<'de>>(reader: D) -> Result<BTreeMap<Protocol, u64>, D::Error> {
    let words: BTreeMap<String, u64> = BTreeMap::deserialize(reader)?;
    let mut numbers = BTreeMap::new();
    for (word, number) in words {
        let known: Result<Protocol, serde::de::value::Error> =
            Protocol::deserialize(word.into_deserializer());
        let protocol = known.unwrap_or(Protocol::Opaque);
        let sum: &mut u64 = numbers.entry(protocol).or_default();
        *sum = sum.saturating_add(number);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every protocol is at the place of its number, which the census counts on.
    #[test]
    fn protocols_are_at_their_places() {
        for (place, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(protocol as usize, place);
        }
    }

    /// A controller of today reads the report of a sidecar of tomorrow.
    #[test]
    fn protocols_of_a_later_version_are_opaque() {
        let said = r#"{"connections":{"Quic":3,"Opaque":1,"Tls":2,"Gopher":4},"inFlight":{}}"#;
        let census: Census = serde_json::from_str(said).unwrap();
        let read = BTreeMap::from([(Protocol::Opaque, 8), (Protocol::Tls, 2)]);
        assert_eq!(census.connections, read);
        let said = serde_json::to_string(&census).unwrap();
        assert_eq!(serde_json::from_str::<Census>(&said).unwrap(), census);
    }

    /// A holder of which something is not known is left out, and costs neither the others nor the
    /// numbers. A sidecar that names thousands gets no more room than any other.
    #[test]
    fn holders_of_a_later_version_are_left_out() {
        let holder = |protocol: &str, waits_for: &str| {
            format!(
                r#"{{"client":"[fd00::7]:4000","port":8080,"protocol":"{protocol}","inFlight":2,
                "ageMs":900,"received":31,"sent":0,"waitsFor":"{waits_for}","mood":"good"}}"#
            )
        };
        let holders = [
            holder("Quic", "App"),
            holder("Http2", "App"),
            holder("Http2", "Godot"),
            "7".to_owned(),
        ];
        let said = |holders: &[String]| {
            let holders = holders.join(",");
            format!(r#"{{"connections":{{}},"inFlight":{{"Http2":4}},"holders":[{holders}]}}"#)
        };
        let census: Census = serde_json::from_str(&said(&holders)).unwrap();
        assert_eq!(census.in_flight[&Protocol::Http2], 4);
        let [read] = &census.holders[..] else {
            panic!("{:?}", census.holders);
        };
        assert_eq!((read.protocol, read.in_flight), (Protocol::Http2, 2));
        assert_eq!(read.client.to_string(), "[fd00::7]:4000");
        let again = serde_json::to_string(&census).unwrap();
        assert_eq!(serde_json::from_str::<Census>(&again).unwrap(), census);
        let many = vec![holder("Http1", "Client"); 1000];
        let census: Census = serde_json::from_str(&said(&many)).unwrap();
        assert_eq!(census.holders.len(), HOLDERS);
    }

    /// The spelling of what is waited for is the one on the wire.
    #[test]
    fn what_is_waited_for_has_one_spelling() {
        for waits_for in [
            WaitsFor::App,
            WaitsFor::Client,
            WaitsFor::Request,
            WaitsFor::Silence,
            WaitsFor::End,
        ] {
            let said = serde_json::to_string(&waits_for).unwrap();
            assert_eq!(said, format!("\"{waits_for}\""));
        }
    }
}
