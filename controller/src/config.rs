//! The configuration of the process: read and checked once, at its start.

use crate::admission::inject::SidecarConfig;
use clap::Parser;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The controller of Ebb. The chart sets the environment.
#[derive(Debug, Parser)]
#[command(name = "ebb-controller", version, about)]
pub struct Arguments {
    /// The namespace that the controller runs in: its Secrets and its Service are there.
    #[arg(long, env = "EBB_NAMESPACE", default_value = "ebb-system")]
    namespace: String,
    /// The pod that the controller runs in, as it signs its Events.
    #[arg(long, env = "EBB_POD_NAME")]
    pod_name: Option<String>,
    /// What is put into pods, as JSON: image, imagePullPolicy, redirect, resources.
    #[arg(long, env = "EBB_SIDECAR")]
    sidecar: Option<String>,
    /// Which log lines are written: a level, or a list of module=level.
    #[arg(long, env = "EBB_LOG", default_value = "info")]
    pub log: String,
    /// Where the webhook listens.
    #[arg(long, env = "EBB_WEBHOOK_ADDRESS", default_value_t = everywhere(9443))]
    webhook: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "EBB_ADMIN_ADDRESS", default_value_t = everywhere(9444))]
    admin: SocketAddr,
}

/// What the controller runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace that the controller runs in.
    pub namespace: String,
    /// The pod that it runs in, if it runs in one.
    pub pod_name: Option<String>,
    /// What is put into pods.
    pub sidecar: SidecarConfig,
    /// Where the webhook listens.
    pub webhook: SocketAddr,
    /// Where /livez, /readyz and /metrics are served.
    pub admin: SocketAddr,
}

/// Why the process can't start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not known what to put into pods.
    #[error("nothing says what to put into pods: set EBB_SIDECAR (the chart does)")]
    NoSidecar,
    /// What to put into pods can't be read.
    #[error("EBB_SIDECAR can't be read: {0}")]
    Sidecar(#[source] serde_json::Error),
}

impl TryFrom<Arguments> for Config {
    type Error = ConfigError;

    fn try_from(arguments: Arguments) -> Result<Config, ConfigError> {
        let sidecar = arguments.sidecar.ok_or(ConfigError::NoSidecar)?;
        Ok(Config {
            namespace: arguments.namespace,
            pod_name: arguments.pod_name,
            sidecar: serde_json::from_str(&sidecar).map_err(ConfigError::Sidecar)?,
            webhook: arguments.webhook,
            admin: arguments.admin,
        })
    }
}

/// Every address of both families; of IPv4 alone where the kernel has no IPv6.
fn everywhere(port: u16) -> SocketAddr {
    let ip = match std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The names of all options fit together.
    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    /// A sidecar that can't be read is an error that names where it came from.
    #[test]
    fn what_is_put_into_pods_is_checked_at_the_start() {
        let arguments = |sidecar: &str| {
            let arguments = ["ebb-controller", "--sidecar", sidecar];
            Config::try_from(Arguments::parse_from(arguments))
        };
        let error = arguments("{").unwrap_err().to_string();
        assert!(error.starts_with("EBB_SIDECAR can't be read"), "{error}");
        let config = arguments(
            r#"{"image": "ebb-sidecar:1", "redirect": true, "resources": {"guaranteed": {}}}"#,
        );
        assert_eq!(config.unwrap().sidecar.image, "ebb-sidecar:1");
    }
}
