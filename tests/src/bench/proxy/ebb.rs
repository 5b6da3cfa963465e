//! The sidecar, set up as the webhook and kubelet do it: the one-shot step writes the redirect
//! rules into the server's network, then the relay takes what clients send to the app's port.

use std::process::Command;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_api::bootstrap::{AppContainer, Bootstrap};
use ebb_api::capture::Wanted;
use ebb_api::names::{BOOTSTRAP_VARIABLE, POD_UID_VARIABLE};
use ebb_api::settings::{DEFAULT_MAX_SECONDS, DeregistrationSettings, Settings};

use crate::bed::command;
use crate::bench::case::Case;
use crate::bench::hooks::{APP, TOKEN};
use crate::bench::place::{Place, Role};
use crate::bench::programs::Programs;

pub(super) fn add(
    command: &mut Command,
    place: &Place,
    programs: &Programs,
    case: Case,
) -> Result<()> {
    let bootstrap = serde_json::to_string(&bootstrap(case))?;
    let environment = |command: &mut Command| {
        command
            .env(BOOTSTRAP_VARIABLE, &bootstrap)
            .env(POD_UID_VARIABLE, "benchmark");
    };
    let mut redirect = place.command(Role::Proxy, &programs.sidecar);
    environment(redirect.arg("redirect"));
    command::run(&mut redirect).context("the redirect step failed")?;
    environment(command);
    command.arg(&programs.sidecar);
    Ok(())
}

/// A policy is in force, and nobody will send a desired state.
fn bootstrap(case: Case) -> Bootstrap {
    Bootstrap {
        settings: Settings {
            policy: Some("benchmark".to_owned()),
            enabled: true,
            deregistration: deregistration(case),
            ..Settings::without_policy()
        },
        grace_seconds: 335,
        original_grace_seconds: 30,
        token: TOKEN.to_owned(),
        key: "benchmark".to_owned(),
        public_key: BASE64_STANDARD.encode([0; 32]),
        containers: vec![AppContainer {
            name: APP.to_owned(),
            ports: Vec::new(),
            probes: Vec::new(),
            restart_grace_seconds: None,
            own_hook: None,
        }],
        exclude_ports: Vec::new(),
        proxy_protocol_ports: Vec::new(),
        capture: Wanted::default(),
    }
}

/// Other clients go on during a drain, and must not prolong it. Where what counts is its end, it
/// begins with its last phase.
fn deregistration(case: Case) -> DeregistrationSettings {
    DeregistrationSettings {
        quiet_seconds: 0,
        max_seconds: match case {
            Case::Release => 0,
            _ => DEFAULT_MAX_SECONDS,
        },
        ..DeregistrationSettings::default()
    }
}
