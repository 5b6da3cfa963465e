//! The sidecar, set up as the webhook and kubelet do it: the one-shot step writes the rules of the
//! mode into the server's network, then the relay takes what clients send to the app's port.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, ensure};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{self, Mode, Wanted};
use ebb_api::settings::{DEFAULT_MAX_SECONDS, DeregistrationSettings, Settings};
use ebb_netns::bootstrap;
use ebb_netns::process::Process;
use ebb_netns::sidecar::Launch;

use crate::case::Case;
use crate::topology::{Role, Topology};

/// A build of the sidecar, and the mode that it is to run in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build<'a> {
    pub(super) program: &'a Path,
    pub(super) mode: Mode,
}

// === impl Build ===

impl Build<'_> {
    /// Starts it by a command that becomes its program, and waits until it is in its mode: in the
    /// mode Transparent the backend would be reached without it, too.
    pub(super) fn start(self, by: &[OsString], topology: &Topology, case: Case) -> Result<Process> {
        // A policy is in force, and nobody will send a desired state.
        let settings = Settings {
            deregistration: deregistration(case),
            ..bootstrap::policy()
        };
        let bootstrap = Bootstrap {
            capture: Wanted::only(self.mode),
            ..bootstrap::of(settings)
        };
        let launch = Launch::new(self.program, &bootstrap).uid("benchmark");
        launch.redirect(topology.pod())?;
        let name = format!("ebb-{}", self.mode);
        let mut sidecar = launch
            .by(by)
            .start(topology.pod(), &name, topology.folder())?;
        let report = topology.inside(Role::Load, || sidecar.started())?;
        ensure!(
            report.mode == self.mode,
            "the sidecar runs in mode {}: {:?}",
            report.mode,
            capture::sentence(&report.steps)
        );
        Ok(sidecar.process)
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
