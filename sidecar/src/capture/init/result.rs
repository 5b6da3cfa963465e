//! The result that the init step leaves for the sidecar, which has no privilege to look at the
//! rules.
//!
//! The two containers share the pod's network namespace and nothing else, so the result is there:
//! it is the alias of the interface `lo`, which only a holder of NET_ADMIN in the namespace can
//! write and anybody can read.

use nlink::netlink::{Connection, Route};
use std::net::IpAddr;

/// What every result begins with, so that somebody else's alias is not taken for one.
const PREFIX: &str = "ebb redirect ";

/// The kernel's limit of an alias is 255 bytes; a longer one is refused as a whole.
const LIMIT: usize = 255;

/// The word before the addresses that are routed by `lo`.
const OVER_LOOPBACK: &str = " lo";

/// The words for [`Selection`], and the one before why it is not the better one.
const LISTENING: &str = "socket-wildcard";
const ALL: &str = "plain";
const BECAUSE: &str = " because ";

/// What came of the init step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitResult {
    /// Connections are redirected.
    Written {
        /// Which of them.
        selection: Selection,
        /// The addresses of the pod that are routed by `lo`, so that connections to the app may be
        /// bound to it: see [`Upstream::new`](crate::upstream::Upstream::new).
        over_loopback: Vec<IpAddr>,
    },
    /// The rules could not be written; why.
    Failed(String),
}

/// Which connections are redirected.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    fn text(&self) -> String {
        let mut text = match self {
            InitResult::Written {
                selection,
                over_loopback,
            } => {
                let (word, why) = match selection {
                    Selection::Listening => (LISTENING, None),
                    Selection::All(why) => (ALL, Some(why)),
                };
                let mut text = format!("{PREFIX}{word}");
                if !over_loopback.is_empty() {
                    text.push_str(OVER_LOOPBACK);
                }
                for address in over_loopback {
                    let address = format!(" {address}");
                    // One that does not fit is dialed as without the step: at a lower rate.
                    if text.len() + address.len() <= LIMIT {
                        text.push_str(&address);
                    }
                }
                if let Some(why) = why
                    && text.len() + BECAUSE.len() < LIMIT
                {
                    text.push_str(BECAUSE);
                    text.push_str(why);
                }
                text
            }
            InitResult::Failed(reason) => format!("{PREFIX}failed: {reason}"),
        };
        text.truncate(text.floor_char_boundary(LIMIT));
        text
    }

    fn parse(alias: &str) -> Option<InitResult> {
        let text = alias.strip_prefix(PREFIX)?;
        if let Some(reason) = text.strip_prefix("failed: ") {
            return Some(InitResult::Failed(reason.to_owned()));
        }
        let (text, why) = text.split_once(BECAUSE).unwrap_or((text, ""));
        let (selection, addresses) = text.split_once(OVER_LOOPBACK).unwrap_or((text, ""));
        let selection = match selection {
            LISTENING => Selection::Listening,
            ALL => Selection::All(why.to_owned()),
            _ => return None,
        };
        let over_loopback = addresses
            .split_whitespace()
            .map(|address| address.parse().ok())
            .collect::<Option<_>>()?;
        Some(InitResult::Written {
            selection,
            over_loopback,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(selection: Selection, addresses: &[&str]) -> InitResult {
        InitResult::Written {
            selection,
            over_loopback: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    /// What is left is found again, and a reason of any length and alphabet fits.
    #[test]
    fn results_survive_the_alias() {
        for result in [
            written(Selection::Listening, &[]),
            written(Selection::Listening, &["10.1.2.3", "fd00::1:2"]),
            written(Selection::All(String::new()), &["10.1.2.3"]),
            written(Selection::All("ENOENT".to_owned()), &[]),
            written(Selection::All("no `socket`".to_owned()), &["10.1.2.3"]),
            InitResult::Failed("no nf_tables: ENOENT".to_owned()),
        ] {
            assert_eq!(InitResult::parse(&result.text()), Some(result));
        }
        let long = "ä".repeat(300);
        for result in [
            InitResult::Failed(long.clone()),
            written(Selection::All(long), &["10.1.2.3"]),
        ] {
            let text = result.text();
            assert!(
                text.len() <= LIMIT && InitResult::parse(&text).is_some(),
                "{text}"
            );
        }
    }

    /// Of more addresses than fit, those that do are whole.
    #[test]
    fn addresses_are_left_out_and_never_cut() {
        let addresses: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let result = written(Selection::Listening, &addresses);
        let text = result.text();
        assert!(text.len() <= LIMIT);
        let found = InitResult::parse(&text).unwrap();
        let (
            InitResult::Written { over_loopback, .. },
            InitResult::Written {
                over_loopback: all, ..
            },
        ) = (found, result)
        else {
            panic!("both are written");
        };
        assert!(over_loopback.len() > 10 && over_loopback.iter().all(|one| all.contains(one)));
    }

    /// Somebody else's alias is no result.
    #[test]
    fn other_aliases_are_not_results() {
        for alias in [
            "",
            "uplink",
            "ebb redirect",
            "ebb redirect maybe",
            "ebb redirect plain lo 10.0.0.",
            "ebb redirect plain eth0",
        ] {
            assert_eq!(InitResult::parse(alias), None, "{alias:?}");
        }
    }
}
