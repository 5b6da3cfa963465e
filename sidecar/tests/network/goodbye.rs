//! Goodbyes of HTTP/2 to a client that can't send a request again: Go's net/http with bodies that
//! can be read once. While the pod accepts and leaves, each of its connections is told to go, one
//! after the other, and each time a request may be on its way.

use crate::pod::PodNetwork;
use ebb_api::settings::{DeregistrationSettings, Settings};
use ebb_netns::{bootstrap, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What net/http says of a request for which it had chosen a connection in the microseconds before
/// it read the goodbye, and which it had not begun: it closes the body and then can't send it
/// elsewhere (`cleanupWriteRequest`, `rewindBody`). Nothing of it was ever on its way, and any
/// server's goodbye does that.
const OWN_RACE: &str = "net/http: cannot rewind body after connection loss";

/// Requests that the sidecar saw answered.
const FINISHED: &str = "ebb_finished_total";

/// Far more than that many requests take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds a program of `tests/clients/go`.
fn built(package: &str, name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/go");
    let built = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .status();
    assert!(built.expect("the program go").success());
    program
}

/// A client that runs.
struct Client {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

#[derive(serde::Deserialize)]
struct Tally {
    answers: u64,
    errors: BTreeMap<String, u64>,
}

impl Client {
    /// Starts it, and waits until it was answered.
    fn started(program: &Path, options: &[&str], url: &str) -> Client {
        let mut process = Command::new(program)
            .args(options)
            .arg(url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().expect("a line").unwrap(), "ready");
        Client { process, lines }
    }

    /// Ends it, and returns what it counted.
    fn stopped(mut self) -> Tally {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let line = self.lines.next().expect("a line").unwrap();
        self.process.wait().unwrap();
        let mut tallies: BTreeMap<String, Tally> = serde_json::from_str(&line).unwrap();
        tallies.pop_first().unwrap().1
    }
}

/// Whether it is busy or at rest when the pod begins to leave, has one stream at a time or several:
/// each request is answered.
#[test]
#[ignore = "needs Go: cargo xtask test"]
fn no_request_is_lost_to_a_goodbye() {
    let (server, program) = (built(".", "go-server"), built("./client", "go-client"));
    for (options, requests) in [
        (["-connections=8", "-workers=1", "-pauses=0s"], 2000),
        (["-connections=8", "-workers=1", "-pauses=20ms"], 2000),
        (["-connections=4", "-workers=4", "-pauses=20ms"], 2000),
        (["-connections=300", "-workers=1", "-pauses=6s"], 900),
    ] {
        let pod = PodNetwork::new();
        let settings = Settings {
            deregistration: DeregistrationSettings {
                max_seconds: 60,
                ..DeregistrationSettings::default()
            },
            ..bootstrap::policy()
        };
        let bootstrap = bootstrap::of(settings);
        pod.redirect(&bootstrap);
        let _server = pod.start(&server, ("POD_NAME", "pod"));
        let sidecar = pod.sidecar(&bootstrap);
        let url = format!("http://{}:8080", pod.addresses[0]);
        eventually("the server", PATIENCE, || {
            Ok(TcpStream::connect((pod.addresses[0], 8080)).ok())
        })
        .unwrap();
        let client = Client::started(&program, &options, &url);
        let finished = |at_least: u64| {
            eventually("requests", PATIENCE, || {
                let finished = sidecar.metric(FINISHED);
                Ok((finished >= at_least).then_some(finished))
            })
            .unwrap()
        };
        let before = finished(requests / 4);
        let hooks = sidecar.call_hooks();
        finished(before + requests);
        hooks.are_held("the clients keep coming, and the pod accepts");
        let mut tally = client.stopped();
        assert!(tally.answers >= requests);
        let own = tally.errors.remove(OWN_RACE).unwrap_or(0);
        assert_eq!(tally.errors, BTreeMap::new(), "{options:?}");
        assert!(own <= requests / 200, "{own} of {requests}: {options:?}");
    }
}
