//! Which mode is in force, and why no better one: decisions only.

use super::init::{InitResult, Left};
use super::{Asked, DataPath, Found, named_ports, observe, redirect, transparent};
use ebb_api::capture::{Mode, Step, Why};

/// A mode as it would be in this pod.
pub(super) struct Candidate {
    pub(super) path: DataPath,
    /// What it lacks.
    pub(super) steps: Vec<Step>,
    /// Whether what leads connections to it is there.
    pub(super) leads: bool,
    /// Whether it can be in force all the same.
    pub(super) works: bool,
}

/// The first mode of the chain that can be had, and what is wrong with it and with those before it.
///
/// A mode that can't be had leaves its ports, and how they are served, to the one that is: see
/// [`DataPath::ports`]. Of several it is the one that connections may be led to, else the first.
pub(super) fn choose(asked: &Asked, found: &Found) -> (DataPath, Vec<Step>) {
    let mut steps = Vec::new();
    let mut above: Option<Candidate> = None;
    for mode in &asked.wanted.modes {
        let candidate = match mode {
            Mode::Transparent => transparent::candidate(asked, found),
            Mode::Redirect => redirect::candidate(asked, found),
            Mode::NamedPorts => named_ports::candidate(asked, found),
            Mode::Observe => break,
        };
        for step in &candidate.steps {
            // What two modes lack is told of the better one.
            let is_told = steps
                .iter()
                .any(|told: &Step| (told.why, &told.detail) == (step.why, &step.detail));
            if !is_told {
                steps.push(step.clone());
            }
        }
        if candidate.works {
            return (candidate.path, steps);
        }
        if above
            .as_ref()
            .is_none_or(|above| candidate.leads && !above.leads)
        {
            above = Some(candidate);
        }
    }
    let observe = observe::candidate(asked);
    steps.extend(observe.steps);
    let path = match above {
        None => observe.path,
        Some(Candidate { path: above, .. }) => DataPath {
            ports: above.ports,
            origin: above.origin,
            approach: above.approach,
            ..observe.path
        },
    };
    (path, steps)
}

/// A port of the relay is not open.
pub(super) fn ports_shut(mode: Mode, found: &Found) -> impl Iterator<Item = Step> {
    found.shut.values().map(move |shut| Step {
        mode,
        why: shut.why,
        detail: shut.detail.clone(),
    })
}

/// What a mode lacks that stands on rules of the init step, where it wrote none.
pub(super) fn no_rules(mode: Mode, left: &Left) -> Option<Step> {
    let (why, detail) = match left {
        Left::Result(InitResult::Transparent | InitResult::Redirect { .. }) => return None,
        Left::Result(InitResult::Failed(why)) => {
            (Why::InitFailed, format!("the redirect step failed: {why}"))
        }
        Left::Nothing => (
            Why::InitMissing,
            "the redirect step left no result in this pod's network".to_owned(),
        ),
        Left::Unreadable(error) => (
            Why::InitUnreadable,
            format!("the result of the redirect step cannot be read: {error}"),
        ),
    };
    Some(Step { mode, why, detail })
}

#[cfg(test)]
mod tests {
    use super::super::Shut;
    use super::super::init::Selection;
    use super::*;
    use crate::census::Way;
    use crate::listener::{Kind, Port};
    use crate::upstream::{Approach, OriginalDestination};
    use ebb_api::capture::{NamedPort, Wanted};
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    fn asked(mode: Mode) -> Asked {
        any_of(&[mode])
    }

    fn any_of(modes: &[Mode]) -> Asked {
        let ports = vec![NamedPort {
            listen: 18080,
            app: 8080,
        }];
        Asked {
            wanted: Wanted {
                modes: modes.to_vec(),
                ports,
            },
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
        init(Left::Result(InitResult::Redirect {
            selection,
            over_loopback: vec![LO],
            instead: None,
        }))
    }

    fn transparent() -> Found {
        init(Left::Result(InitResult::Transparent))
    }

    fn shut(port: u16, why: Why) -> BTreeMap<u16, Shut> {
        let detail = "shut".to_owned();
        BTreeMap::from([(port, Shut { why, detail })])
    }

    fn numbers(path: &DataPath) -> Vec<u16> {
        path.ports.iter().map(|port| port.number).collect()
    }

    const FROM_KERNEL: OriginalDestination = OriginalDestination::Captured { relay_port: 17440 };

    const LO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

    fn reasons(steps: &[Step]) -> Vec<(Mode, Why)> {
        steps.iter().map(|step| (step.mode, step.why)).collect()
    }

    /// What is asked for and found is had, and decides everything.
    #[test]
    fn each_mode_is_had_as_a_whole() {
        let (path, steps) = choose(&asked(Mode::Transparent), &transparent());
        assert_eq!((path.mode, steps.len()), (Mode::Transparent, 0));
        let kind = Kind::Transparent { refusal: 17442 };
        let port = Port {
            number: 17440,
            kind,
        };
        assert_eq!(path.ports, [port]);
        assert_eq!(path.uncaptured, Some(Way::Bypassing));
        assert_eq!(
            (path.origin, path.approach),
            (FROM_KERNEL, Approach::AsClient)
        );

        let (path, steps) = choose(&asked(Mode::Redirect), &written(Selection::Listening));
        assert_eq!((path.mode, steps.len()), (Mode::Redirect, 0));
        assert_eq!(path.ports, [Port::plain(17440)]);
        assert_eq!((path.uncaptured, path.origin), (None, FROM_KERNEL));
        let over_loopback = vec![LO];
        assert_eq!(path.approach, Approach::Own { over_loopback });

        let (path, steps) = choose(&asked(Mode::NamedPorts), &Found::default());
        assert_eq!((path.mode, steps.len()), (Mode::NamedPorts, 0));
        assert_eq!(path.ports, [Port::plain(18080)]);
        assert_eq!(path.uncaptured, Some(Way::Bypassing));
        let ports = BTreeMap::from([(18080, 8080)]);
        assert_eq!(path.origin, OriginalDestination::NamedPorts(ports));

        let (path, steps) = choose(&asked(Mode::Observe), &Found::default());
        assert_eq!((path.mode, steps.len()), (Mode::Observe, 0));
        assert_eq!(
            (path.ports.len(), path.uncaptured),
            (0, Some(Way::Observed))
        );
    }

    /// The best mode whose rules the kernel took is had, and why no better one is told once.
    #[test]
    fn the_chain_is_stepped_down() {
        let both = any_of(&[Mode::Transparent, Mode::Redirect]);
        let (path, steps) = choose(&both, &transparent());
        assert_eq!((path.mode, steps.len()), (Mode::Transparent, 0));

        let redirected = init(Left::Result(InitResult::Redirect {
            selection: Selection::Listening,
            over_loopback: Vec::new(),
            instead: Some("ENOENT".to_owned()),
        }));
        let (path, steps) = choose(&both, &redirected);
        assert_eq!(path.mode, Mode::Redirect);
        assert_eq!(path.ports, [Port::plain(17440)]);
        assert_eq!(reasons(&steps), [(Mode::Transparent, Why::RulesRefused)]);
        let detail = &steps[0].detail;
        assert!(detail.contains("(ENOENT)"), "{detail}");

        let failed = init(Left::Result(InitResult::Failed("EPERM".to_owned())));
        let (path, steps) = choose(&both, &failed);
        assert_eq!(path.mode, Mode::Observe);
        assert_eq!(reasons(&steps), [(Mode::Transparent, Why::InitFailed)]);
    }

    /// A port that is taken is opened later as the mode wants it whose rules are there.
    #[test]
    fn a_port_is_left_as_its_rules_want_it() {
        let both = any_of(&[Mode::Transparent, Mode::Redirect]);
        let found = Found {
            shut: shut(17440, Why::PortTaken),
            ..written(Selection::Listening)
        };
        let (path, steps) = choose(&both, &found);
        assert_eq!(path.mode, Mode::Observe);
        assert_eq!(reasons(&steps), [(Mode::Redirect, Why::PortTaken)]);
        assert_eq!(path.ports, [Port::plain(17440)]);
        let over_loopback = vec![LO];
        assert_eq!(path.approach, Approach::Own { over_loopback });
    }

    /// Without the capability the kernel hands nothing over, and the app gets what comes: there are
    /// no other rules to step down to.
    #[test]
    fn a_sidecar_without_the_capability_observes() {
        let found = Found {
            shut: shut(17440, Why::NoCapability),
            ..transparent()
        };
        let both = any_of(&[Mode::Transparent, Mode::Redirect]);
        let (path, steps) = choose(&both, &found);
        assert_eq!(path.mode, Mode::Observe);
        assert_eq!(reasons(&steps), [(Mode::Transparent, Why::NoCapability)]);
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
            assert_eq!((numbers(&path), path.origin), (vec![17440], FROM_KERNEL));
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
                shut: shut(17440, Why::PortTaken),
                ..written(Selection::Listening)
            };
            let (path, steps) = choose(&asked(mode), &found);
            assert_eq!(path.mode, meanwhile);
            assert_eq!(reasons(&steps), [(mode, Why::PortTaken)]);
            assert_eq!(steps[0].detail, "shut");
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
