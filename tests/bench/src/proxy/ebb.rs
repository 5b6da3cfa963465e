//! The sidecar, set up as the webhook and kubelet do it: the one-shot step writes the redirect
//! rules into the server's network, then the relay takes what clients send to the app's port.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use ebb_api::settings::{DEFAULT_MAX_SECONDS, DeregistrationSettings, Settings};
use ebb_netns::bootstrap;
use ebb_netns::process::Process;
use ebb_netns::sidecar::Launch;

use crate::case::Case;
use crate::topology::Topology;

/// Starts a build of it by a command that becomes its program.
pub(super) fn start(
    sidecar: &Path,
    by: &[OsString],
    topology: &Topology,
    case: Case,
) -> Result<Process> {
    // A policy is in force, and nobody will send a desired state.
    let bootstrap = bootstrap::of(Settings {
        deregistration: deregistration(case),
        ..bootstrap::policy()
    });
    let launch = Launch::new(sidecar, &bootstrap).uid("benchmark");
    launch.redirect(topology.pod())?;
    let sidecar = launch
        .by(by)
        .start(topology.pod(), "ebb", topology.folder())?;
    Ok(sidecar.process)
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
