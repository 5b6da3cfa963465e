//! The configuration of the process, read once from the environment at its start.
//!
//! A bad value never keeps the pod down: what cannot be understood is left out and stands in
//! [`Config::complaint`], and the sidecar then passes bytes through as if no policy selected the
//! pod. It would be worse to crash, for a pod with a crashing sidecar serves nobody.

mod bootstrap;
mod log;

pub use bootstrap::Key;

use crate::census::Probes;
use crate::drain::Pod;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::Wanted;
use ebb_api::names::{
    ADMIN_PORT, BOOTSTRAP_VARIABLE, POD_NAME_VARIABLE, POD_NAMESPACE_VARIABLE, POD_UID_VARIABLE,
    RELAY_PORT, WORKERS_VARIABLE,
};
use ebb_api::settings::Settings;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The most threads for connections: more cores than any pod's sidecar has a use for.
const MOST_WORKERS: NonZeroUsize = NonZeroUsize::new(64).expect("it is not 0");

/// The configuration of the process.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pod's name; empty where it is not known.
    pub name: String,
    /// Its namespace; empty where it is not known.
    pub namespace: String,
    /// Its UID; empty where it is not known, and then no desired state is accepted.
    pub uid: String,
    /// What the webhook wrote into the pod's spec, where it could be read.
    pub bootstrap: Option<Bootstrap>,
    /// The key that desired states must be signed with, where it could be read.
    pub key: Option<Key>,
    /// What could not be understood, as a sentence.
    pub complaint: Option<String>,
    /// Where redirected connections arrive; 0 takes any free port.
    pub relay_port: u16,
    /// Where hooks, probes, metrics, status and desired states arrive; 0 takes any free port.
    pub admin_port: u16,
    /// How many threads run connections.
    pub workers: NonZeroUsize,
    /// Where all connections go, for a relay that stands in front of one port and that nothing is
    /// redirected to. `None` in a pod: each goes where it was meant to.
    pub only_destination: Option<SocketAddr>,
    /// Where kubelet looks for the termination message.
    pub termination: PathBuf,
}

// === impl Config ===

impl Config {
    /// Reads the environment through `variable`.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Config {
        let mut complaints = Vec::new();
        let (bootstrap, key) = bootstrap::read(variable(BOOTSTRAP_VARIABLE), &mut complaints);
        let uid = variable(POD_UID_VARIABLE).unwrap_or_default();
        if uid.is_empty() {
            complaints.push(format!(
                "the variable {POD_UID_VARIABLE} is not set: no desired state can be accepted"
            ));
        }
        let workers = read_workers(variable(WORKERS_VARIABLE)).unwrap_or_else(|complaint| {
            complaints.push(complaint);
            NonZeroUsize::MIN
        });
        Config {
            name: variable(POD_NAME_VARIABLE).unwrap_or_default(),
            namespace: variable(POD_NAMESPACE_VARIABLE).unwrap_or_default(),
            uid,
            bootstrap,
            key,
            complaint: (!complaints.is_empty()).then(|| complaints.join("; ")),
            relay_port: RELAY_PORT,
            admin_port: ADMIN_PORT,
            workers,
            only_destination: None,
            termination: PathBuf::from("/dev/termination-log"),
        }
    }

    /// The process's own environment.
    pub fn from_environment() -> Config {
        Config::read(|name| std::env::var(name).ok())
    }

    /// How connections are to reach the sidecar.
    pub fn capture(&self) -> Wanted {
        let bootstrap = self.bootstrap.as_ref();
        bootstrap.map_or_else(Wanted::default, |bootstrap| bootstrap.capture.clone())
    }

    /// Ports of the app that learn who each client is, by a header of the PROXY protocol.
    pub fn proxy_protocol_ports(&self) -> &[u16] {
        let bootstrap = self.bootstrap.as_ref();
        bootstrap.map_or(&[], |bootstrap| &bootstrap.proxy_protocol_ports)
    }

    /// The settings that the pod was made with.
    pub fn settings(&self) -> Settings {
        self.bootstrap
            .as_ref()
            .map_or_else(Settings::without_policy, |bootstrap| {
                bootstrap.settings.clone()
            })
    }

    /// Kubelet's probes of the pod that can't be told from clients by their bytes.
    pub fn probes(&self) -> Probes {
        let bootstrap = self.bootstrap.as_ref();
        bootstrap.map_or_else(Probes::default, |bootstrap| {
            Probes::of(&bootstrap.containers)
        })
    }

    /// What the drain machine needs to know of the pod.
    pub fn pod(&self) -> Pod {
        self.bootstrap.as_ref().map_or_else(Pod::unknown, Pod::of)
    }
}

fn read_workers(text: Option<String>) -> Result<NonZeroUsize, String> {
    let Some(text) = text else {
        return Ok(NonZeroUsize::MIN);
    };
    let number = text.parse().ok();
    number
        .filter(|workers| *workers <= MOST_WORKERS)
        .ok_or_else(|| {
            format!(
                "the variable {WORKERS_VARIABLE} is {text:?}, not a number from 1 to {MOST_WORKERS}: one thread runs all connections"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use ebb_api::capture::NamedPort;
    use serde_json::json;
    use std::time::Duration;

    fn read(bootstrap: Option<serde_json::Value>) -> Config {
        let bootstrap = bootstrap.map(|bootstrap| bootstrap.to_string());
        Config::read(|name| match name {
            BOOTSTRAP_VARIABLE => bootstrap.clone(),
            POD_UID_VARIABLE => Some("uid-1".to_owned()),
            _ => None,
        })
    }

    fn bootstrap(token: &str, public_key: &str) -> serde_json::Value {
        json!({
            "settings": {"policy": "web", "enabled": true, "timeoutSeconds": 60,
                "deregistration": {"minSeconds": 0, "quietSeconds": 2, "maxSeconds": 30}},
            "graceSeconds": 95, "originalGraceSeconds": 30,
            "token": token, "key": "k1", "publicKey": public_key,
            "containers": [{"name": "web", "ports": [8080],
                "ownHook": {"kind": "sleep", "seconds": 7}}],
        })
    }

    /// What the webhook writes is understood in full.
    #[test]
    fn a_bootstrap_is_read() {
        let config = read(Some(bootstrap("secret", &BASE64_STANDARD.encode([7; 32]))));
        assert_eq!(config.complaint, None);
        assert_eq!(config.settings().policy.as_deref(), Some("web"));
        assert_eq!(config.pod().own_sleep, Duration::from_secs(7));
        assert_eq!(config.key.map(|key| key.public), Some([7; 32]));
    }

    /// A relay that is asked to dial itself does not, and says so; its other ports are served.
    #[test]
    fn a_circle_of_ports_is_left_out() {
        let mut text = bootstrap("secret", &BASE64_STANDARD.encode([7; 32]));
        text["capture"] = json!({"modes": ["NamedPorts"], "ports": [
            {"listen": 17442, "app": 8080}, {"listen": 17443, "app": 17442}]});
        let config = read(Some(text));
        let ports = vec![NamedPort {
            listen: 17442,
            app: 8080,
        }];
        assert_eq!(config.capture().ports, ports);
        let complaint = config.complaint.unwrap();
        assert!(
            complaint.contains("port 17443 is not relayed"),
            "{complaint}"
        );
    }

    /// Nothing that may stand in the environment stops the process; it says what is wrong and
    /// stands aside.
    #[test]
    fn damage_is_told_and_survived() {
        for (bootstrap, complaint) in [
            (None, "EBB_BOOTSTRAP is not set"),
            (
                Some(json!("{")),
                "EBB_BOOTSTRAP cannot be read: invalid type",
            ),
            (Some(bootstrap("", "")), "has no hook token"),
        ] {
            let config = read(bootstrap);
            assert!(!config.settings().enabled);
            assert!(
                config.complaint.as_ref().unwrap().contains(complaint),
                "{:?} should contain {complaint:?}",
                config.complaint
            );
        }
    }

    /// One thread unless a sensible number says more.
    #[test]
    fn workers_are_read() {
        for (text, workers, complaint) in [
            (None, 1, None),
            (Some("4"), 4, None),
            (Some("0"), 1, Some("EBB_WORKERS is \"0\"")),
            (Some("65"), 1, Some("from 1 to 64")),
            (Some("all"), 1, Some("not a number")),
        ] {
            let config = Config::read(|name| match name {
                WORKERS_VARIABLE => text.map(str::to_owned),
                POD_UID_VARIABLE => Some("uid-1".to_owned()),
                _ => Some(bootstrap("secret", "").to_string()),
            });
            assert_eq!(config.workers.get(), workers, "{text:?}");
            let said = config.complaint.unwrap();
            assert!(said.contains(complaint.unwrap_or("")), "{said}");
            assert_eq!(
                said.contains(WORKERS_VARIABLE),
                complaint.is_some(),
                "{said}"
            );
        }
    }

    /// A damaged key costs the controller's words, not the drain by the hooks.
    #[test]
    fn a_bad_key_leaves_the_bootstrap() {
        let config = read(Some(bootstrap("secret", "AAAA")));
        assert!(config.settings().enabled);
        assert_eq!(config.key, None);
        assert!(config.complaint.unwrap().contains("\"k1\""));
    }
}
