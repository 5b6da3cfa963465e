//! Which mode is in force, and why no better one: decisions only.

use super::{Asked, DataPath, Found, named_ports, observe, redirect};
use ebb_api::capture::{Mode, Step, Why};

/// A mode as it would be in this pod.
pub(super) struct Candidate {
    pub(super) path: DataPath,
    /// What it lacks.
    pub(super) steps: Vec<Step>,
    /// Whether it can be in force all the same.
    pub(super) works: bool,
}

/// The first mode of the chain that can be had, and what is wrong with it and with those before it.
///
/// A mode that can't be had leaves its ports, and how they are served, to the one that is: see
/// [`DataPath::ports`].
pub(super) fn choose(asked: &Asked, found: &Found) -> (DataPath, Vec<Step>) {
    let mut steps = Vec::new();
    let mut above: Option<DataPath> = None;
    for mode in modes(asked.wanted.mode) {
        let candidate = match mode {
            Mode::Redirect => redirect::candidate(asked, found),
            Mode::NamedPorts => named_ports::candidate(asked, found),
            Mode::Observe => break,
        };
        steps.extend(candidate.steps);
        if candidate.works {
            return (candidate.path, steps);
        }
        above.get_or_insert(candidate.path);
    }
    let observe = observe::candidate(asked);
    steps.extend(observe.steps);
    let path = match above {
        None => observe.path,
        Some(above) => DataPath {
            ports: above.ports,
            origin: above.origin,
            over_loopback: above.over_loopback,
            ..observe.path
        },
    };
    (path, steps)
}

/// The modes to try for this one, in their order. The last one can always be had.
fn modes(wanted: Mode) -> impl Iterator<Item = Mode> {
    [wanted, Mode::Observe].into_iter()
}

/// A port of the relay is not open.
pub(super) fn port_taken(mode: Mode, found: &Found) -> impl Iterator<Item = Step> {
    found.shut.values().map(move |why| Step {
        mode,
        why: Why::PortTaken,
        detail: why.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::init::{InitResult, Left, Selection};
    use super::*;
    use crate::census::Way;
    use crate::upstream::OriginalDestination;
    use ebb_api::capture::{NamedPort, Wanted};
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    fn asked(mode: Mode) -> Asked {
        let ports = match mode {
            Mode::NamedPorts => vec![NamedPort {
                listen: 17442,
                app: 8080,
            }],
            Mode::Redirect | Mode::Observe => Vec::new(),
        };
        Asked {
            wanted: Wanted { mode, ports },
            relay_port: 17440,
            ..Asked::default()
        }
    }

    fn init(left: Left) -> Found {
        Found {
            init: Some(left),
            ..Found::default()
        }
    }

    fn written(selection: Selection) -> Found {
        init(Left::Result(InitResult::Written {
            selection,
            over_loopback: vec![LO],
        }))
    }

    const LO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

    fn reasons(steps: &[Step]) -> Vec<(Mode, Why)> {
        steps.iter().map(|step| (step.mode, step.why)).collect()
    }

    /// What is asked for and found is had, and decides everything.
    #[test]
    fn each_mode_is_had_as_a_whole() {
        let (path, steps) = choose(&asked(Mode::Redirect), &written(Selection::Listening));
        assert_eq!((path.mode, steps.len()), (Mode::Redirect, 0));
        assert_eq!((path.ports, path.uncaptured), (vec![17440], None));
        assert_eq!(path.origin, OriginalDestination::Redirected);
        assert_eq!(path.over_loopback, [LO]);

        let (path, steps) = choose(&asked(Mode::NamedPorts), &Found::default());
        assert_eq!((path.mode, steps.len()), (Mode::NamedPorts, 0));
        assert_eq!(path.ports, [17442]);
        assert_eq!(path.uncaptured, Some(Way::Bypassing));
        let ports = BTreeMap::from([(17442, 8080)]);
        assert_eq!(path.origin, OriginalDestination::NamedPorts(ports));

        let (path, steps) = choose(&asked(Mode::Observe), &Found::default());
        assert_eq!((path.mode, steps.len()), (Mode::Observe, 0));
        assert_eq!(
            (path.ports.len(), path.uncaptured),
            (0, Some(Way::Observed))
        );
    }

    /// Whatever the init step came to, its port is open: the rules may be there after all.
    #[test]
    fn a_redirect_that_failed_is_observed_and_its_port_open() {
        for (left, why) in [
            (
                Left::Result(InitResult::Failed("EPERM".to_owned())),
                Why::InitFailed,
            ),
            (Left::Nothing, Why::InitMissing),
            (Left::Unreadable("EIO".to_owned()), Why::InitUnreadable),
        ] {
            let (path, steps) = choose(&asked(Mode::Redirect), &init(left));
            assert_eq!(reasons(&steps), [(Mode::Redirect, why)]);
            assert_eq!(path.mode, Mode::Observe);
            assert_eq!(path.uncaptured, Some(Way::Observed));
            assert_eq!(path.ports, [17440]);
            assert_eq!(path.origin, OriginalDestination::Redirected);
        }
    }

    /// A port that somebody else has makes a redirect worthless, and one of several named ports
    /// does not; both are told.
    #[test]
    fn a_port_that_is_taken_is_told() {
        for (mode, meanwhile) in [
            (Mode::Redirect, Mode::Observe),
            (Mode::NamedPorts, Mode::NamedPorts),
        ] {
            let found = Found {
                shut: BTreeMap::from([(17440, "taken".to_owned())]),
                ..written(Selection::Listening)
            };
            let (path, steps) = choose(&asked(mode), &found);
            assert_eq!(path.mode, meanwhile);
            assert_eq!(reasons(&steps), [(mode, Why::PortTaken)]);
            assert_eq!(steps[0].detail, "taken");
        }
    }

    /// The rule that redirects everything is no failure, but it is told with the kernel's words.
    #[test]
    fn the_weaker_rule_is_told() {
        let found = written(Selection::All("ENOENT".to_owned()));
        let (path, steps) = choose(&asked(Mode::Redirect), &found);
        assert_eq!(path.mode, Mode::Redirect);
        assert_eq!(reasons(&steps), [(Mode::Redirect, Why::WeakRule)]);
        let detail = &steps[0].detail;
        assert!(detail.contains("(ENOENT)"), "{detail}");
    }

    /// Where no relay can tell the app who its clients are, that is said after what is in the way.
    #[test]
    fn headers_that_nobody_writes_are_told() {
        let asked = Asked {
            proxy_protocol_ports: vec![8080, 8443],
            ..asked(Mode::Redirect)
        };
        let (_, steps) = choose(&asked, &init(Left::Nothing));
        let expected = [
            (Mode::Redirect, Why::InitMissing),
            (Mode::Observe, Why::NoProxyProtocol),
        ];
        assert_eq!(reasons(&steps), expected);
        let detail = &steps[1].detail;
        assert!(detail.ends_with("names 8080, 8443"), "{detail}");
        assert_eq!(choose(&asked, &written(Selection::Listening)).1, []);
    }
}
