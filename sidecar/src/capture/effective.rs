//! The data path in force. It changes while the process lives: a port of the relay that was taken
//! at the start may be had later.

use super::init::Left;
use super::{Asked, DataPath, Found, Shut, chain};
use ebb_api::capture::Step;

/// The data path in force, and why it is no better one.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    asked: Asked,
    found: Found,
    path: DataPath,
    steps: Vec<Step>,
}

impl Effective {
    /// What is asked for, as far as this network namespace has it.
    pub(crate) async fn find(asked: Asked) -> Effective {
        let needs_init = asked.wanted.needs_init() && asked.only_destination.is_none();
        let init = if needs_init {
            Some(Left::find().await)
        } else {
            None
        };
        let found = Found {
            init,
            ..Found::default()
        };
        let (path, steps) = chain::choose(&asked, &found);
        Effective {
            asked,
            found,
            path,
            steps,
        }
    }

    /// One of the relay's ports is not open, for this reason.
    pub(crate) fn shut(&mut self, port: u16, shut: Shut) {
        self.found.shut.insert(port, shut);
        self.choose();
    }

    /// It is open at last.
    pub(crate) fn opened(&mut self, port: u16) {
        self.found.shut.remove(&port);
        self.choose();
    }

    fn choose(&mut self) {
        (self.path, self.steps) = chain::choose(&self.asked, &self.found);
    }

    /// All that the mode in force decides.
    pub(crate) fn path(&self) -> &DataPath {
        &self.path
    }

    /// Why this is not what was asked for, and what it lacks.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_api::capture::{Mode, Wanted, Why};
    use std::net::Ipv4Addr;

    /// A port that can be had later brings back what was asked for.
    #[tokio::test]
    async fn a_port_that_opens_brings_the_mode_back() {
        let asked = Asked {
            wanted: Wanted::only(Mode::Redirect),
            only_destination: Some((Ipv4Addr::LOCALHOST, 8080).into()),
            ..Asked::default()
        };
        let mut effective = Effective::find(asked).await;
        effective.shut(
            17440,
            Shut {
                why: Why::PortTaken,
                detail: "taken".to_owned(),
            },
        );
        assert_eq!(effective.path().mode, Mode::Observe);
        assert_eq!(effective.steps()[0].detail, "taken");
        effective.opened(17440);
        assert_eq!(effective.path().mode, Mode::Redirect);
        assert_eq!(effective.steps(), []);
    }
}
