//! Where load may go: this machine, or the test bed's own networks. Nowhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The test bed's networks: 198.18.0.0/15, which RFC 2544 sets aside for benchmarks.
const BED: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// An address that load may go to. There is no way to make one of another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SocketAddr", into = "SocketAddr")]
pub struct Target(SocketAddr);

/// An address that load may not go to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is outside of this machine and of the test bed.
    #[error(
        "{0} is not an address of the test bed (198.18.0.0/15) nor of this machine; load goes nowhere else"
    )]
    Foreign(SocketAddr),
    /// It is no address.
    #[error("{0:?} is not an address and a port, such as 198.18.128.10:80")]
    Malformed(String),
}

impl Target {
    /// The address.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<SocketAddr> for Target {
    type Error = TargetError;

    fn try_from(address: SocketAddr) -> Result<Self, TargetError> {
        let own = match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback() || u32::from(ip) >> 17 == u32::from(BED) >> 17,
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        own.then_some(Self(address))
            .ok_or(TargetError::Foreign(address))
    }
}

impl From<Target> for SocketAddr {
    fn from(target: Target) -> Self {
        target.0
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let address: SocketAddr = text
            .parse()
            .map_err(|_| TargetError::Malformed(text.to_owned()))?;
        address.try_into()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Load can't leave this machine, whatever is typed.
    #[test]
    fn load_stays_on_this_machine() {
        for own in [
            "127.0.0.1:80",
            "[::1]:80",
            "198.18.0.0:1",
            "198.18.128.10:80",
            "198.19.255.255:80",
        ] {
            assert!(own.parse::<Target>().is_ok(), "{own}");
        }
        for foreign in [
            "198.17.255.255:80",
            "198.20.0.1:80",
            "10.0.0.1:80",
            "[2001:db8::1]:80",
            "example.org:80",
            "",
        ] {
            assert!(foreign.parse::<Target>().is_err(), "{foreign}");
        }
    }
}
