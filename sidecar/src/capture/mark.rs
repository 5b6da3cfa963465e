//! The mark that the redirect step leaves for the sidecar.

use nlink::netlink::{Connection, Route};
use std::net::IpAddr;

/// What every mark begins with, so that somebody else's alias is not taken for one.
const PREFIX: &str = "ebb redirect ";

/// The kernel's limit of an alias is 255 bytes; a longer one is refused as a whole.
const LIMIT: usize = 255;

/// The word before the addresses that are routed by `lo`.
const OVER_LOOPBACK: &str = " lo";

/// The words for [`Selection`], and the one before why it is not the better one.
const LISTENING: &str = "socket-wildcard";
const ALL: &str = "plain";
const BECAUSE: &str = " because ";

/// What came of the redirect step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Connections are redirected.
    Written {
        /// Which.
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
pub enum Selection {
    /// Those to ports that somebody listens on; all others stay refused.
    Listening,
    /// All: the kernel did not take the rule that asks whether somebody listens. What it said.
    All(String),
}

// === impl Mark ===

impl Mark {
    fn text(&self) -> String {
        let mut text = match self {
            Mark::Written {
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
            Mark::Failed(reason) => format!("{PREFIX}failed: {reason}"),
        };
        text.truncate(text.floor_char_boundary(LIMIT));
        text
    }

    fn parse(alias: &str) -> Option<Mark> {
        let text = alias.strip_prefix(PREFIX)?;
        if let Some(reason) = text.strip_prefix("failed: ") {
            return Some(Mark::Failed(reason.to_owned()));
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
        Some(Mark::Written {
            selection,
            over_loopback,
        })
    }

    /// Leaves the mark in the network namespace of this process.
    ///
    /// # Errors
    ///
    /// Fails without NET_ADMIN in the namespace.
    pub async fn leave(&self) -> Result<(), nlink::Error> {
        let connection = Connection::<Route>::new()?;
        connection.set_link_alias("lo", &self.text()).await
    }

    /// Finds the mark in the network namespace of this process. It needs no privilege.
    ///
    /// # Errors
    ///
    /// Fails where the interfaces cannot be listed.
    pub async fn find() -> Result<Option<Mark>, nlink::Error> {
        let connection = Connection::<Route>::new()?;
        let lo = connection.get_link_by_name("lo").await?;
        Ok(lo.and_then(|lo| Mark::parse(lo.alias()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(selection: Selection, addresses: &[&str]) -> Mark {
        Mark::Written {
            selection,
            over_loopback: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    /// What is left is found again, and a reason of any length and alphabet fits.
    #[test]
    fn marks_survive_the_alias() {
        for mark in [
            written(Selection::Listening, &[]),
            written(Selection::Listening, &["10.1.2.3", "fd00::1:2"]),
            written(Selection::All(String::new()), &["10.1.2.3"]),
            written(Selection::All("ENOENT".to_owned()), &[]),
            written(Selection::All("no `socket`".to_owned()), &["10.1.2.3"]),
            Mark::Failed("no nf_tables: ENOENT".to_owned()),
        ] {
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        let long = "ä".repeat(300);
        for mark in [
            Mark::Failed(long.clone()),
            written(Selection::All(long), &["10.1.2.3"]),
        ] {
            let text = mark.text();
            assert!(
                text.len() <= LIMIT && Mark::parse(&text).is_some(),
                "{text}"
            );
        }
    }

    /// Of more addresses than fit, those that do are whole.
    #[test]
    fn addresses_are_left_out_and_never_cut() {
        let addresses: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mark = written(Selection::Listening, &addresses);
        let text = mark.text();
        assert!(text.len() <= LIMIT);
        let found = Mark::parse(&text).unwrap();
        let (
            Mark::Written { over_loopback, .. },
            Mark::Written {
                over_loopback: all, ..
            },
        ) = (found, mark)
        else {
            panic!("both are written");
        };
        assert!(over_loopback.len() > 10 && over_loopback.iter().all(|one| all.contains(one)));
    }

    /// Somebody else's alias is no mark.
    #[test]
    fn other_aliases_are_not_marks() {
        for alias in [
            "",
            "uplink",
            "ebb redirect",
            "ebb redirect maybe",
            "ebb redirect plain lo 10.0.0.",
            "ebb redirect plain eth0",
        ] {
            assert_eq!(Mark::parse(alias), None, "{alias:?}");
        }
    }
}
