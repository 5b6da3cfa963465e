//! How connections reach the relay as things stand, and why not as they should.

use super::init::{InitResult, Left, Selection};
use crate::census::Way;
use ebb_api::capture::{Mode, Step, Why};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How connections reach the relay as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The mode, if all of the relay's ports are open.
    mode: Mode,
    /// What the init step came short of.
    remark: Option<Step>,
    /// Ports of the relay that are not open, and why.
    shut: BTreeMap<u16, String>,
    over_loopback: Vec<IpAddr>,
}

// === impl Standing ===

impl Standing {
    /// What was asked for, and in this network namespace can be had.
    pub(crate) async fn detect(asked: Mode) -> Standing {
        match asked {
            Mode::Redirect => Standing::after_redirect(Left::find().await),
            Mode::NamedPorts | Mode::Observe => Standing::new(asked),
        }
    }

    /// This mode, with nothing amiss.
    pub(crate) fn new(mode: Mode) -> Standing {
        Standing {
            mode,
            remark: None,
            shut: BTreeMap::new(),
            over_loopback: Vec::new(),
        }
    }

    fn after_redirect(left: Left) -> Standing {
        let mut over_loopback = Vec::new();
        let (mode, remark) = match left {
            Left::Result(InitResult::Written {
                selection,
                over_loopback: addresses,
            }) => {
                over_loopback = addresses;
                let remark = match selection {
                    Selection::Listening => None,
                    Selection::All(why) => Some((
                        Why::WeakRule,
                        format!(
                            "connections are redirected whether the app listens or not, so a \
                             tcpSocket probe always passes: the kernel did not take the rule that \
                             asks ({why})"
                        ),
                    )),
                };
                (Mode::Redirect, remark)
            }
            Left::Result(InitResult::Failed(why)) => {
                let detail = format!("the redirect step failed: {why}");
                (Mode::Observe, Some((Why::InitFailed, detail)))
            }
            Left::Nothing => {
                let detail = "the redirect step left no result in this pod's network".to_owned();
                (Mode::Observe, Some((Why::InitMissing, detail)))
            }
            Left::Unreadable(error) => {
                let detail = format!("the result of the redirect step cannot be read: {error}");
                (Mode::Observe, Some((Why::InitUnreadable, detail)))
            }
        };
        Standing {
            remark: remark.map(|(why, detail)| Step {
                mode: Mode::Redirect,
                why,
                detail,
            }),
            over_loopback,
            ..Standing::new(mode)
        }
    }

    /// One of the relay's ports is not open.
    pub(crate) fn shut(&mut self, port: u16, why: String) {
        self.shut.insert(port, why);
    }

    /// It is open at last.
    pub(crate) fn opened(&mut self, port: u16) {
        self.shut.remove(&port);
    }

    /// The mode in force.
    pub(crate) fn mode(&self) -> Mode {
        match self.mode {
            // Nothing is redirected to a port that somebody else has.
            Mode::Redirect if !self.shut.is_empty() => Mode::Observe,
            mode => mode,
        }
    }

    /// Why that is not what it should be.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> {
        let shut = self.shut.values().map(|detail| Step {
            mode: self.mode,
            why: Why::PortTaken,
            detail: detail.clone(),
        });
        self.remark.iter().cloned().chain(shut)
    }

    /// The addresses of the pod that are routed by `lo`.
    pub(crate) fn over_loopback(&self) -> &[IpAddr] {
        &self.over_loopback
    }

    /// What connections are that the relay has not; nothing where it has all.
    pub(crate) fn others_are(&self) -> Option<Way> {
        match self.mode() {
            Mode::Redirect => None,
            Mode::NamedPorts => Some(Way::Bypassing),
            Mode::Observe => Some(Way::Observed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that somebody else has makes a redirect worthless, and one of several named ports
    /// does not; both are told for as long as it is so.
    #[test]
    fn a_port_that_is_taken_is_told() {
        for (mode, meanwhile) in [
            (Mode::Redirect, Mode::Observe),
            (Mode::NamedPorts, Mode::NamedPorts),
        ] {
            let mut standing = Standing::new(mode);
            standing.shut(8080, "taken".to_owned());
            assert_eq!(standing.mode(), meanwhile);
            let taken = Step {
                mode,
                why: Why::PortTaken,
                detail: "taken".to_owned(),
            };
            assert_eq!(standing.steps().collect::<Vec<_>>(), [taken]);
            standing.opened(8080);
            assert_eq!(standing.mode(), mode);
            assert_eq!(standing.steps().count(), 0);
        }
    }

    /// The rule that redirects everything is no failure, but it is told with the kernel's words.
    #[test]
    fn the_weaker_rule_is_told() {
        let result = InitResult::Written {
            selection: Selection::All("ENOENT".to_owned()),
            over_loopback: Vec::new(),
        };
        let standing = Standing::after_redirect(Left::Result(result));
        assert_eq!(standing.mode(), Mode::Redirect);
        let step = standing.steps().next().unwrap();
        assert_eq!((step.mode, step.why), (Mode::Redirect, Why::WeakRule));
        let detail = step.detail;
        assert!(detail.contains("(ENOENT)"), "{detail}");
    }
}
