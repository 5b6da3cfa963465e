//! The sidecar, set up as the webhook and kubelet do it: the one-shot step writes the redirect
//! rules into the server's network, then the relay takes what clients send to the app's port.

use std::process::Command;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_api::birth::{Birth, Capture};
use ebb_api::names::{BIRTH_VARIABLE, POD_UID_VARIABLE};
use ebb_api::settings::Settings;

use crate::bed::command;
use crate::bench::place::{Place, Role};
use crate::bench::programs::Programs;

pub(super) fn add(command: &mut Command, place: &Place, programs: &Programs) -> Result<()> {
    let birth = serde_json::to_string(&birth())?;
    let environment = |command: &mut Command| {
        command
            .env(BIRTH_VARIABLE, &birth)
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
fn birth() -> Birth {
    Birth {
        settings: Settings {
            policy: Some("benchmark".to_owned()),
            enabled: true,
            ..Settings::without_policy()
        },
        grace_seconds: 335,
        original_grace_seconds: 30,
        token: "benchmark".to_owned(),
        key: "benchmark".to_owned(),
        public_key: BASE64_STANDARD.encode([0; 32]),
        containers: Vec::new(),
        exclude_ports: Vec::new(),
        proxy_protocol_ports: Vec::new(),
        capture: Capture::default(),
    }
}
