//! The sidecar's own program in a pod: the one-shot step before it, and the process.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{self, Mode};
use ebb_api::names::{BOOTSTRAP_VARIABLE, POD_UID_VARIABLE};
use ebb_api::report::{FinalReport, Report};

use crate::admin::Admin;
use crate::capability;
use crate::command;
use crate::eventually;
use crate::pod::Pod;
use crate::process::{Process, START};

/// Starts a program as a container runtime would: the termination message's file (`$0`) mounted
/// where the program expects it, in a `/dev` of its own, and no privileges but those in `$2`. The
/// shell becomes the program (`$1`).
const AS_A_CONTAINER: &str = "mount -t tmpfs dev /dev && : > /dev/termination-log && \
    mount --bind \"$0\" /dev/termination-log && \
    exec setpriv --bounding-set=\"$2\" --inh-caps=-all --no-new-privs \"$1\"";

/// The sidecar's program, and how it is to run in a pod.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    bootstrap: String,
    uid: String,
    capabilities: &'static str,
    before: Vec<OsString>,
}

/// A sidecar that runs; it ends with this value, if not before.
#[derive(Debug)]
pub struct Sidecar {
    /// The process.
    pub process: Process,
    admin: Admin,
    termination: PathBuf,
}

// === impl Launch ===

impl Launch {
    /// The program at this path, configured by the webhook.
    pub fn new(program: impl Into<PathBuf>, bootstrap: &Bootstrap) -> Self {
        let bootstrap = serde_json::to_string(bootstrap).expect("a bootstrap has only string keys");
        Self::with_text(program, &bootstrap)
    }

    /// The same with any text in the place of a bootstrap.
    pub fn with_text(program: impl Into<PathBuf>, bootstrap: &str) -> Self {
        Self {
            program: program.into(),
            bootstrap: bootstrap.to_owned(),
            uid: "uid".to_owned(),
            capabilities: "-all,+net_raw",
            before: Vec::new(),
        }
    }

    /// With this UID of the pod.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }

    /// Without the capability that transparent sockets take.
    #[must_use]
    pub fn without_capabilities(mut self) -> Self {
        self.capabilities = "-all";
        self
    }

    /// Run by this command, which becomes the program that is given to it in further arguments:
    /// what it changes of itself (limits, CPUs, its control group) holds for the program.
    #[must_use]
    pub fn by(mut self, command: &[impl AsRef<OsStr>]) -> Self {
        self.before = command
            .iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self
    }

    /// Runs the one-shot step that writes the redirect's rules, as the init container does.
    ///
    /// # Errors
    ///
    /// The step ended with a failure, which it never does by itself: a pod has to start without it,
    /// too.
    pub fn redirect(&self, pod: &Pod) -> Result<Output> {
        capability::give(&self.program)?;
        let mut step = self.command(&self.program);
        step.arg("redirect");
        let output = command::output(&mut pod.network().entered(&step))?;
        ensure!(
            output.status.success(),
            "the redirect step failed: {output:?}"
        );
        Ok(output)
    }

    /// Starts the process in the pod. Its log is `folder`/`name`.log, its termination message
    /// `folder`/`name`.termination.
    pub fn start(&self, pod: &Pod, name: &str, folder: &Path) -> Result<Sidecar> {
        let termination = folder.join(format!("{name}.termination"));
        File::create(&termination)
            .with_context(|| format!("can't write {}", termination.display()))?;
        let mut contained = self.command("unshare");
        contained
            .args(["--mount", "sh", "-c", AS_A_CONTAINER])
            .arg(&termination)
            .arg(&self.program)
            .arg(self.capabilities);
        Ok(Sidecar {
            process: Process::start(pod.network().entered(&contained), name, folder)?,
            admin: Admin::of(pod.address()),
            termination,
        })
    }

    /// A command with what comes before it, and the variables of the pod's spec.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut words = self.before.clone();
        words.push(program.as_ref().to_owned());
        let mut command = Command::new(words.remove(0));
        command
            .args(words)
            .env(BOOTSTRAP_VARIABLE, &self.bootstrap)
            .env(POD_UID_VARIABLE, &self.uid);
        command
    }
}

// === impl Sidecar ===

impl Sidecar {
    /// Its admin port.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// Waits until it answers for the first time.
    pub fn started(&mut self) -> Result<Report> {
        eventually("the sidecar's status", START, || {
            self.process.still_runs()?;
            Ok(self.admin.status().ok())
        })
        .with_context(|| self.process.explanation())
    }

    /// The same, and its mode has to be this one.
    pub fn started_in(&mut self, mode: Mode) -> Result<Report> {
        let report = self.started()?;
        ensure!(
            report.mode == mode,
            "the sidecar runs in mode {}: {:?}",
            report.mode,
            capture::sentence(&report.steps)
        );
        Ok(report)
    }

    /// Waits until the process has ended by itself or by a signal, for at most `limit`.
    pub fn ended(&mut self, limit: Duration) -> Result<()> {
        self.process.ended(limit).map(drop)
    }

    /// The final report, which kubelet would put into the pod's status.
    pub fn last_words(&self) -> Result<FinalReport> {
        let file = &self.termination;
        let words = fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
        serde_json::from_slice(&words)
            .with_context(|| format!("no final report in {}", file.display()))
    }
}
