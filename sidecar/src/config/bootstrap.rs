//! What the webhook wrote into the pod's spec, as far as it can be used.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::NamedPort;
use ebb_api::names::BOOTSTRAP_VARIABLE;
use std::collections::BTreeSet;

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its 32 bytes (Ed25519, RFC 8032).
    pub public: [u8; 32],
}

/// Why a bootstrap could not be used.
#[derive(Debug, thiserror::Error)]
enum BootstrapError {
    #[error("the variable {BOOTSTRAP_VARIABLE} is not set")]
    Missing,
    #[error("the variable {BOOTSTRAP_VARIABLE} cannot be read")]
    Garbage(#[source] serde_json::Error),
    #[error("the variable {BOOTSTRAP_VARIABLE} has no hook token")]
    NoToken,
    #[error("the public key {id:?} in {BOOTSTRAP_VARIABLE} is not 32 bytes in base64")]
    Key { id: String },
}

/// The bootstrap and its key, each if it can be used; what is wrong with them is added to
/// `complaints`.
pub(super) fn read(
    text: Option<String>,
    complaints: &mut Vec<String>,
) -> (Option<Bootstrap>, Option<Key>) {
    let mut bootstrap = match parse(text) {
        Ok(bootstrap) => bootstrap,
        Err(error) => {
            complaints.push(sentence(&error));
            return (None, None);
        }
    };
    complaints.extend(drop_circles(&mut bootstrap.capture.ports));
    let key = read_key(&bootstrap).map_err(|error| complaints.push(sentence(&error)));
    let key = key.ok();
    (Some(bootstrap), key)
}

fn parse(text: Option<String>) -> Result<Bootstrap, BootstrapError> {
    let text = text.ok_or(BootstrapError::Missing)?;
    let bootstrap: Bootstrap = serde_json::from_str(&text).map_err(BootstrapError::Garbage)?;
    // An empty token would let everybody in.
    if bootstrap.token.is_empty() {
        return Err(BootstrapError::NoToken);
    }
    Ok(bootstrap)
}

/// Leaves out ports of the app that are the relay's own: it would connect to itself without end.
fn drop_circles(ports: &mut Vec<NamedPort>) -> Option<String> {
    let relays: BTreeSet<u16> = ports.iter().map(|port| port.listen).collect();
    let is_circle = |port: &NamedPort| relays.contains(&port.app);
    let circles: Vec<_> = ports.iter().copied().filter(is_circle).collect();
    ports.retain(|port| !is_circle(port));
    let circle = circles.first()?;
    Some(format!(
        "the variable {BOOTSTRAP_VARIABLE} names port {} both as the app's and as the relay's: port {} is not relayed",
        circle.app, circle.listen
    ))
}

fn read_key(bootstrap: &Bootstrap) -> Result<Key, BootstrapError> {
    let garbage = || BootstrapError::Key {
        id: bootstrap.key.clone(),
    };
    let public = BASE64_STANDARD
        .decode(&bootstrap.public_key)
        .map_err(|_| garbage())?;
    Ok(Key {
        id: bootstrap.key.clone(),
        public: public.try_into().map_err(|_| garbage())?,
    })
}

fn sentence(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
