//! A preStop hook of the app that is a command: `ebb-hold` runs in the app's container, in the
//! pod's network, beside the sidecar's own process.

use crate::client::{connection, say};
use crate::pod::PodNetwork;
use crate::sidecar::{PATIENCE, Sidecar};
use ebb_api::hold::{Held, INSTALL, Order, PROGRAM};
use ebb_api::phase::{Outcome, Phase, Trigger};
use ebb_netns::bootstrap::{self, APP, TOKEN};
use ebb_netns::eventually;
use rustix::process::Signal;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The hook as the webhook would write it, for a shell's script.
fn held(order: Order, script: &str) -> Held {
    Held {
        order,
        container: APP.to_owned(),
        token: TOKEN.to_owned(),
        limit_seconds: 60,
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
    }
}

/// The hook in the app's container, started by kubelet.
struct Hook(Child);

impl Hook {
    fn start(pod: &PodNetwork, held: &Held) -> Hook {
        Hook::start_by(pod.command(env!("CARGO_BIN_EXE_ebb-hold")), held)
    }

    /// The same by a command that becomes the program.
    fn start_by(mut command: Command, held: &Held) -> Hook {
        let words = held.words();
        assert_eq!(words[0], PROGRAM);
        let command = command.args(&words[1..]).stdin(Stdio::null());
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Hook(piped.spawn().unwrap())
    }

    /// Has not ended by now.
    fn is_held(&mut self, why: &str) {
        assert_eq!(self.0.try_wait().unwrap(), None, "{why}");
    }

    /// Waits for its end.
    fn ended(mut self) -> Output {
        eventually("the hook to end", PATIENCE, || Ok(self.0.try_wait()?)).unwrap();
        self.0.wait_with_output().unwrap()
    }
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A pod with a client that waits for its answer, a minute at most.
fn in_flight(pod: &PodNetwork) -> (Sidecar, TcpStream, TcpStream) {
    let app = pod.app("[::]:8080");
    let sidecar = pod.sidecar(&bootstrap::of(bootstrap::short(60)));
    let (mut client, mut served) = connection(pod.addresses[0], 8080, &app);
    say(&mut client, &mut served, "question");
    (sidecar, client, served)
}

/// The container is held until the drain is over. Then the command runs where it would have run
/// without Ebb: as the container's user, without any privilege, in its folder, with its environment
/// and with arguments that nobody took apart; and its exit code and its output are the hook's.
#[test]
fn a_command_runs_after_the_drain_as_kubelet_would_have_run_it() {
    let pod = PodNetwork::new();
    let (sidecar, mut client, mut served) = in_flight(&pod);
    let script = "echo \"$(id -u) $PWD $OF_THE_IMAGE $0 $1\"; echo trouble >&2; exit 7";
    let mut hook = held(Order::After, script);
    hook.command.extend(["a  b".to_owned(), "--".to_owned()]);
    let mut container = pod.command("setpriv");
    container
        .args(["--reuid", "1234", "--regid", "1234", "--clear-groups"])
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(env!("CARGO_BIN_EXE_ebb-hold"))
        .current_dir("/usr")
        .env("OF_THE_IMAGE", "yes");
    let mut hook = Hook::start_by(container, &hook);
    let hooks = sidecar.call_own_hook();
    let report = sidecar.until("draining", |report| report.phase == Phase::Draining);
    assert_eq!(report.leaving.unwrap().trigger, Trigger::Deleted);
    hook.is_held("its client waits");
    say(&mut served, &mut client, "answer");
    let (code, out, err) = said(&hook.ended());
    assert_eq!((code, &*err), (Some(7), "trouble\n"));
    assert_eq!(out, "1234 /usr yes a  b --\n");
    assert_eq!(hooks.released().drain.unwrap().outcome, Outcome::Drained);
}

/// A command that deregisters elsewhere runs at once, and the hook ends when both it and the drain
/// are done.
#[test]
fn a_command_may_run_before_the_drain() {
    let pod = PodNetwork::new();
    let (sidecar, mut client, mut served) = in_flight(&pod);
    let mark = pod.file("ran");
    let script = format!("echo bye; : > {}; exit 3", mark.display());
    let mut hook = Hook::start(&pod, &held(Order::Before, &script));
    eventually("the command to run", PATIENCE, || {
        Ok(mark.exists().then_some(()))
    })
    .unwrap();
    let hooks = sidecar.call_own_hook();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    hook.is_held("its client waits");
    say(&mut served, &mut client, "answer");
    let (code, out, err) = said(&hook.ended());
    assert_eq!((code, &*out, &*err), (Some(3), "bye\n", ""));
    let _ = hooks.released();
}

/// Alone, it is what kubelet does when it restarts one container; the pod stays, and its container
/// is held for no longer than that takes.
#[test]
fn alone_it_is_a_restart() {
    let pod = PodNetwork::new();
    let sidecar = pod.sidecar(&bootstrap::of(bootstrap::short(60)));
    let hook = Hook::start(&pod, &held(Order::After, "echo bye"));
    let report = sidecar.until("a restart", |report| report.last.is_some());
    assert_eq!(report.last.unwrap().trigger, Trigger::ContainerRestart);
    let (code, out, _) = said(&hook.ended());
    assert_eq!((code, &*out), (Some(0), "bye\n"));
}

/// Where there is no sidecar, where it does not know the hook, and where it ends in the middle, the
/// command runs at once, as without Ebb, and the reason is said.
#[test]
fn a_sidecar_that_holds_nothing_delays_nothing() {
    let pod = PodNetwork::new();
    let hook = held(Order::After, "echo bye");
    let (code, out, err) = said(&Hook::start(&pod, &hook).ended());
    assert_eq!((code, &*out), (Some(0), "bye\n"));
    assert!(err.contains("Connection refused"), "{err}");

    let (sidecar, _client, _served) = in_flight(&pod);
    for (container, token, status) in [(APP, "another", "401"), ("other", TOKEN, "404")] {
        let hook = Held {
            container: container.to_owned(),
            token: token.to_owned(),
            ..hook.clone()
        };
        let (code, out, err) = said(&Hook::start(&pod, &hook).ended());
        assert_eq!((code, &*out), (Some(0), "bye\n"));
        assert!(err.contains(status), "{err}");
    }
    let mut held = Hook::start(&pod, &hook);
    let _hooks = sidecar.call_own_hook();
    sidecar.until("draining", |report| report.phase == Phase::Draining);
    held.is_held("its client waits");
    sidecar.signal(Signal::KILL);
    let (code, out, err) = said(&held.ended());
    assert_eq!((code, &*out), (Some(0), "bye\n"));
    assert!(err.contains("does not hold"), "{err}");
}

/// A sidecar that answers nothing at all is waited for up to the limit, which leaves the command
/// the time that it would have without Ebb.
#[test]
fn a_sidecar_that_does_not_answer_is_given_up() {
    let pod = PodNetwork::new();
    let sidecar = pod.sidecar(&bootstrap::of(bootstrap::short(60)));
    sidecar.signal(Signal::STOP);
    let hook = Held {
        limit_seconds: 1,
        ..held(Order::After, "echo bye")
    };
    let began = Instant::now();
    let (code, out, _) = said(&Hook::start(&pod, &hook).ended());
    assert_eq!((code, &*out), (Some(0), "bye\n"));
    assert!(began.elapsed() >= Duration::from_secs(1));
    sidecar.signal(Signal::CONT);
}

/// Commands that can't be run fail as they do in a shell, and whoever starts the program by hand is
/// told how.
#[test]
fn what_cannot_be_run_is_told() {
    let pod = PodNetwork::new();
    for order in [Order::After, Order::Before] {
        for (command, expected) in [("/no/such/program", 127), ("/etc/passwd", 126)] {
            let hook = Held {
                command: vec![command.to_owned()],
                ..held(order, "")
            };
            let (code, _, err) = said(&Hook::start(&pod, &hook).ended());
            assert_eq!(code, Some(expected), "{err}");
            assert!(err.contains(&format!("can't run {command}")), "{err}");
        }
    }
    let output = Command::new(env!("CARGO_BIN_EXE_ebb-hold")).output();
    let (code, _, err) = said(&output.unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("expected: after|before"), "{err}");
}

/// The program copies itself where anybody may run it; where it can't, the init container ends well
/// all the same, or the pod would not start.
#[test]
fn it_installs_itself() {
    let pod = PodNetwork::new();
    let copy = pod.file("hold");
    let install = |to: &PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ebb-hold"));
        said(&command.arg(INSTALL).arg(to).output().unwrap())
    };
    for _ in 0..2 {
        assert_eq!(install(&copy), (Some(0), String::new(), String::new()));
    }
    let hook = held(Order::After, "echo bye");
    let (_, out, _) = said(&Hook::start_by(pod.command(copy.to_str().unwrap()), &hook).ended());
    assert_eq!(out, "bye\n");
    let (code, _, err) = install(&PathBuf::from("/no/such/folder/hold"));
    assert_eq!(code, Some(0));
    assert!(err.contains("can't copy the program"), "{err}");
}
