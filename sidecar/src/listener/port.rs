//! A port of the relay: its number, and how connections come to it.

/// A port of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number; 0 takes any that is free.
    pub number: u16,
    /// How connections come to it.
    pub kind: Kind,
}

/// How connections come to a port of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Under the port's own address, as everywhere.
    Plain,
    /// Under the addresses that the clients meant: the kernel hands them over while the port is
    /// open (`IP_TRANSPARENT`, which takes the capability NET_RAW), and else leaves them to the
    /// app.
    Transparent {
        /// The port that is open while the relay's is closed on purpose, so that the kernel refuses
        /// what it would have handed over.
        refusal: u16,
    },
}

// === impl Port ===

impl Port {
    /// A port of the first kind.
    pub fn plain(number: u16) -> Port {
        Port {
            number,
            kind: Kind::Plain,
        }
    }
}
