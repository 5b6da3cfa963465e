//! The result that the init step leaves for the sidecar, which has no privilege to look at the
//! rules.
//!
//! The two containers share the pod's network namespace and nothing else, so the result is there:
//! it is the alias of the interface `lo`, which only a holder of NET_ADMIN in the namespace can
//! write and anybody can read.

use nlink::netlink::{Connection, Route};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What every result begins with, so that somebody else's alias is not taken for one.
const PREFIX: &str = "ebb ";

/// The kernel's limit of an alias is 255 bytes; a longer one is refused as a whole.
const LIMIT: usize = 255;

/// What came of the init step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InitResult {
    /// Connections are handed to the relay as they are.
    Transparent,
    /// Connections are redirected.
    Redirect {
        /// Which of them.
        selection: Selection,
        /// The addresses of the pod that are routed by `lo`, so that connections to the app may be
        /// bound to it: see [`Approach::Own`](crate::upstream::Approach::Own).
        over_loopback: Vec<IpAddr>,
        /// Why they are not handed over as they are, where that was asked for.
        instead: Option<String>,
    },
    /// No rules could be written; why.
    Failed(String),
}

/// Which connections are redirected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Selection {
    /// Those to ports that somebody listens on; all others stay refused.
    Listening,
    /// All: the kernel did not take the rule that asks whether somebody listens. What it said.
    All(String),
}

/// What the sidecar finds of the init step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its result.
    Result(InitResult),
    /// No result: the step did not run, or somebody overwrote what it left.
    Nothing,
    /// The interfaces cannot be listed; what the kernel says.
    Unreadable(String),
}

// === impl Left ===

impl Left {
    /// Looks in the network namespace of this process. It needs no privilege.
    pub(crate) async fn find() -> Left {
        match InitResult::read().await {
            Ok(Some(result)) => Left::Result(result),
            Ok(None) => Left::Nothing,
            Err(error) => Left::Unreadable(error.to_string()),
        }
    }
}

// === impl InitResult ===

impl InitResult {
    /// As JSON that fits: of what is too long, reasons are cut, and then addresses left out. One
    /// that is left out is dialed as without the step, at a lower rate.
    fn text(&self) -> String {
        let mut result = self.clone();
        loop {
            let json = serde_json::to_string(&result).expect("a result has only string keys");
            let text = format!("{PREFIX}{json}");
            if text.len() <= LIMIT || !result.shorten() {
                return text;
            }
        }
    }

    /// False if it can't be any shorter.
    fn shorten(&mut self) -> bool {
        match self {
            InitResult::Transparent => false,
            InitResult::Failed(reason) => halve(reason),
            InitResult::Redirect {
                selection,
                over_loopback,
                instead,
            } => {
                let reason = match selection {
                    Selection::Listening => None,
                    Selection::All(why) => Some(why),
                };
                let longest = reason
                    .into_iter()
                    .chain(instead)
                    .max_by_key(|reason| reason.len());
                longest.is_some_and(halve) || over_loopback.pop().is_some()
            }
        }
    }

    fn parse(alias: &str) -> Option<InitResult> {
        serde_json::from_str(alias.strip_prefix(PREFIX)?).ok()
    }

    /// Leaves the result in the network namespace of this process.
    ///
    /// # Errors
    ///
    /// Fails without NET_ADMIN in the namespace.
    pub(super) async fn leave(&self) -> Result<(), nlink::Error> {
        let connection = Connection::<Route>::new()?;
        connection.set_link_alias("lo", &self.text()).await
    }

    async fn read() -> Result<Option<InitResult>, nlink::Error> {
        let connection = Connection::<Route>::new()?;
        let lo = connection.get_link_by_name("lo").await?;
        Ok(lo.and_then(|lo| InitResult::parse(lo.alias()?)))
    }
}

/// Cuts a reason, unless there is hardly anything left of it.
fn halve(reason: &mut String) -> bool {
    const LEAST: usize = 8;
    let half = reason.floor_char_boundary(reason.len() / 2);
    let is_worth_it = half >= LEAST;
    if is_worth_it {
        reason.truncate(half);
    }
    is_worth_it
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(selection: Selection, addresses: &[&str], instead: Option<&str>) -> InitResult {
        InitResult::Redirect {
            selection,
            over_loopback: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            instead: instead.map(str::to_owned),
        }
    }

    /// What is left is found again, and reasons of any length and alphabet fit.
    #[test]
    fn results_survive_the_alias() {
        for result in [
            InitResult::Transparent,
            redirect(Selection::Listening, &[], None),
            redirect(Selection::Listening, &["10.1.2.3", "fd00::1:2"], None),
            redirect(Selection::Listening, &["10.1.2.3"], Some("no nft_tproxy")),
            redirect(Selection::All(String::new()), &["10.1.2.3"], None),
            redirect(Selection::All("no `socket`".to_owned()), &[], Some("\"")),
            InitResult::Failed("no nf_tables: ENOENT".to_owned()),
        ] {
            assert_eq!(InitResult::parse(&result.text()), Some(result));
        }
        for long in ["ä".repeat(300), "\"".repeat(300), "\u{1}".repeat(300)] {
            for result in [
                InitResult::Failed(long.clone()),
                redirect(Selection::All(long.clone()), &["10.1.2.3"], Some(&long)),
            ] {
                let text = result.text();
                assert!(
                    text.len() <= LIMIT && InitResult::parse(&text).is_some(),
                    "{text}"
                );
            }
        }
    }

    /// Of more addresses than fit, those that do are whole.
    #[test]
    fn addresses_are_left_out_and_never_cut() {
        let addresses: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let text = redirect(Selection::Listening, &addresses, None).text();
        assert!(text.len() <= LIMIT);
        let Some(InitResult::Redirect { over_loopback, .. }) = InitResult::parse(&text) else {
            panic!("{text}");
        };
        let are_whole = over_loopback
            .iter()
            .all(|one| addresses.contains(&one.to_string().as_str()));
        assert!(over_loopback.len() >= 10 && are_whole, "{over_loopback:?}");
    }

    /// Somebody else's alias is no result.
    #[test]
    fn other_aliases_are_not_results() {
        for alias in [
            "",
            "uplink",
            "ebb",
            "ebb {",
            "ebb \"Maybe\"",
            "\"Transparent\"",
        ] {
            assert_eq!(InitResult::parse(alias), None, "{alias:?}");
        }
    }
}
