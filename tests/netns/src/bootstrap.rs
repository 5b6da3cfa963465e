//! What the webhook would write into the pod's spec, where no webhook is.

use std::collections::BTreeMap;

use ebb_api::bootstrap::{AppContainer, Bootstrap};
use ebb_api::capture::Wanted;
use ebb_api::connections::ConnectionSettings;
use ebb_api::settings::{DEFAULT_GRACE_SECONDS, DeregistrationSettings, Settings};

/// The name of the app's container.
pub const APP: &str = "app";

/// What every hook call must carry here.
pub const TOKEN: &str = "a-token-of-this-pod";

/// 32 zeros in base64: nobody has the key to that, so no desired state is accepted.
const NO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The bootstrap of a pod with the default grace period and one app container, [`APP`], that is to
/// be redirected; no controller will speak to it. A test names what differs: `Bootstrap {
/// exclude_ports, .. of(settings) }`.
pub fn of(settings: Settings) -> Bootstrap {
    Bootstrap {
        grace_seconds: settings.grace_seconds(DEFAULT_GRACE_SECONDS),
        settings,
        original_grace_seconds: DEFAULT_GRACE_SECONDS,
        token: TOKEN.to_owned(),
        key: "none".to_owned(),
        public_key: NO_KEY.to_owned(),
        containers: vec![AppContainer {
            name: APP.to_owned(),
            ports: Vec::new(),
            probes: Vec::new(),
            restart_grace_seconds: None,
            own_hook: None,
        }],
        init_containers: 0,
        exclude_ports: Vec::new(),
        proxy_protocol_ports: Vec::new(),
        capture: Wanted::default(),
        limits: BTreeMap::new(),
        fitted: Vec::new(),
    }
}

/// A policy with every default.
pub fn policy() -> Settings {
    Settings {
        policy: Some("web".to_owned()),
        enabled: true,
        ..Settings::without_policy()
    }
}

/// A policy whose drains are as short as seconds allow: at most a second of accepting, a second of
/// silence that makes a connection idle, a second for the app's end. What is in flight has
/// `timeout_seconds`.
pub fn short(timeout_seconds: u32) -> Settings {
    Settings {
        timeout_seconds,
        deregistration: DeregistrationSettings {
            min_seconds: 0,
            quiet_seconds: 0,
            max_seconds: 1,
            ..DeregistrationSettings::default()
        },
        connections: ConnectionSettings {
            idle_seconds: 1,
            ..ConnectionSettings::default()
        },
        shutdown_seconds: Some(1),
        ..policy()
    }
}
