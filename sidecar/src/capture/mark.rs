//! The mark that the redirect step leaves for the sidecar.

use ebb_api::report::Mode;
use nlink::netlink::{Connection, Route};

/// What every mark begins with, so that somebody else's alias is not taken for one.
const PREFIX: &str = "ebb redirect ";

/// The kernel's limit of an alias is 255 bytes; a longer one is refused as a whole.
const LIMIT: usize = 255;

/// What came of the redirect step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Connections to ports that the app listens on are redirected; all others stay refused.
    SocketWildcard,
    /// All inbound connections are redirected: this kernel cannot ask whether the app listens.
    Plain,
    /// The rules could not be written; why.
    Failed(String),
}

/// The mode to run in, and why it is not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The mode.
    pub mode: Mode,
    /// Why it is not Redirect, as a sentence.
    pub reason: Option<String>,
}

// === impl Mark ===

impl Mark {
    fn text(&self) -> String {
        let mut text = match self {
            Mark::SocketWildcard => format!("{PREFIX}socket-wildcard"),
            Mark::Plain => format!("{PREFIX}plain"),
            Mark::Failed(reason) => format!("{PREFIX}failed: {reason}"),
        };
        let mut end = LIMIT.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    fn parse(alias: &str) -> Option<Mark> {
        match alias.strip_prefix(PREFIX)? {
            "socket-wildcard" => Some(Mark::SocketWildcard),
            "plain" => Some(Mark::Plain),
            failed => failed
                .strip_prefix("failed: ")
                .map(|reason| Mark::Failed(reason.to_owned())),
        }
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

// === impl Capture ===

impl Capture {
    /// The mode that follows from the mark in this network namespace.
    pub async fn detect() -> Capture {
        let failed = |reason: String| Capture {
            mode: Mode::Observe,
            reason: Some(reason),
        };
        match Mark::find().await {
            Ok(Some(Mark::SocketWildcard | Mark::Plain)) => Capture {
                mode: Mode::Redirect,
                reason: None,
            },
            Ok(Some(Mark::Failed(reason))) => failed(format!("the redirect step failed: {reason}")),
            Ok(None) => failed("the redirect step left no mark on this pod's network".to_owned()),
            Err(error) => failed(format!(
                "the mark of the redirect step cannot be read: {error}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left is found again, and a reason of any length and alphabet fits.
    #[test]
    fn marks_survive_the_alias() {
        for mark in [
            Mark::SocketWildcard,
            Mark::Plain,
            Mark::Failed("no nf_tables: ENOENT".to_owned()),
        ] {
            assert_eq!(Mark::parse(&mark.text()), Some(mark));
        }
        let long = Mark::Failed("ä".repeat(300)).text();
        assert!(long.len() <= LIMIT && Mark::parse(&long).is_some());
    }

    /// Somebody else's alias is no mark.
    #[test]
    fn other_aliases_are_not_marks() {
        for alias in ["", "uplink", "ebb redirect", "ebb redirect maybe"] {
            assert_eq!(Mark::parse(alias), None, "{alias:?}");
        }
    }
}
