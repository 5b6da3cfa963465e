//! A kernel or an image that lacks what the transparent mode asks for: the pod gets the next mode,
//! and is told why.

use crate::client::connection;
use crate::pod::{PodNetwork, connect};
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Step, Wanted, Why};
use ebb_api::names::BOOTSTRAP_VARIABLE;
use ebb_netns::bootstrap;

/// The modes of a policy that names none and needs no named ports.
fn bootstrap() -> Bootstrap {
    Bootstrap {
        capture: Wanted {
            modes: vec![Mode::Transparent, Mode::Redirect],
            ..Wanted::only(Mode::Transparent)
        },
        ..bootstrap::of(bootstrap::short(60))
    }
}

/// The pod is served in the mode Redirect, and nothing is left of the better one. What the sidecar
/// says of that.
fn redirected(pod: &PodNetwork) -> Step {
    let sidecar = pod.sidecar(&bootstrap());
    let report = sidecar.report();
    assert_eq!(report.mode, Mode::Redirect, "{:?}", report.steps);
    let app = pod.app("[::]:8080");
    for address in pod.addresses {
        connection(address, 8080, &app);
        assert!(connect(address, 8081).is_err(), "nobody listens there");
    }
    assert_eq!(pod.ip("-6 address show dev lo scope global"), "");
    assert!(!pod.ip("-4 address show dev lo").contains("169.254."));
    let [step] = &report.steps[..] else {
        panic!("one thing is to be told: {:?}", report.steps)
    };
    assert_eq!(
        (step.mode, step.why),
        (Mode::Transparent, Why::RulesRefused)
    );
    step.clone()
}

/// What the app answers from its alias does not come back: somebody else's rule stands before ours.
/// IPv4 and IPv6, as the relay would dial the app from the pod's own address for clients of either.
#[test]
fn an_alias_that_does_not_work_is_none() {
    for (family, alias) in [("-4", "169.254.17.44"), ("-6", "fdeb::44")] {
        let pod = PodNetwork::new();
        pod.ip(&format!(
            "{family} rule add from {alias} priority 50 unreachable"
        ));
        pod.redirect(&bootstrap());
        let step = redirected(&pod);
        let why = format!("no connection to the app's alias {alias}");
        assert!(step.detail.contains(&why), "{}", step.detail);
    }
}

/// An image that was copied without its files' capabilities.
#[test]
fn a_program_without_its_capability_is_redirected() {
    let pod = PodNetwork::new();
    let copy = pod.file("without-capability");
    // Extended attributes are not copied.
    std::fs::copy(env!("CARGO_BIN_EXE_ebb-sidecar"), &copy).unwrap();
    let bootstrap = serde_json::to_string(&bootstrap()).unwrap();
    let mut step = pod.command(copy.to_str().unwrap());
    let ended = step
        .arg("redirect")
        .env(BOOTSTRAP_VARIABLE, bootstrap)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let step = redirected(&pod);
    assert!(step.detail.contains("cap_net_raw"), "{}", step.detail);
}
