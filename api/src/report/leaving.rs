//! A drain that is going on.

use super::{Protocol, by_protocol};
use crate::phase::Trigger;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The longest name of a Service: a label of DNS (RFC 1035, section 2.3.4).
const LONGEST_SERVICE: usize = 63;

/// A drain that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaving {
    /// Why.
    pub trigger: Trigger,
    /// Time since the signal, in milliseconds.
    pub elapsed_ms: u64,
    /// Time until what is left will be cut, in milliseconds.
    pub remaining_ms: u64,
    /// What the app has broken off since the signal, by protocol.
    #[serde(
        default,
        deserialize_with = "by_protocol",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub broken: BTreeMap<Protocol, u64>,
    /// The Service without another ready endpoint, as long as the pod goes on accepting for it.
    #[serde(
        default,
        deserialize_with = "service",
        skip_serializing_if = "Option::is_none"
    )]
    pub alone_in: Option<String>,
    /// For how long it goes on accepting because clients may come by old answers of DNS, in
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_ms: Option<u64>,
}

/// The name of a Service; what can't be one is left out. It ends up in a policy's status, and any
/// pod may have said it.
fn service<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    let said: Option<String> = Option::deserialize(reader)?;
    Ok(said.filter(|name| {
        let mut letters = name.bytes();
        let is_short = (1..=LONGEST_SERVICE).contains(&name.len());
        is_short && letters.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sidecar can't put any text into a status by the name of a Service.
    #[test]
    fn only_a_name_is_a_name() {
        let read = |name: &str| {
            let said = serde_json::json!({"trigger": "Deleted", "elapsedMs": 1, "remainingMs": 1,
                "aloneIn": name});
            let leaving: Leaving = serde_json::from_value(said).unwrap();
            leaving.alone_in
        };
        assert_eq!(read("web-2").as_deref(), Some("web-2"));
        assert_eq!(read(&"a".repeat(63)).map(|it| it.len()), Some(63));
        for no_name in ["", "Web", "web; all is well", "w\neb", "ü", &"a".repeat(64)] {
            assert_eq!(read(no_name), None, "{no_name:?}");
        }
    }
}
