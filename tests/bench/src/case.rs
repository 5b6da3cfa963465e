//! The loads, and the numbers that are measured under them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::isolate::file_limit;
use super::proxy::{Protocol, Proxy};

/// Connections that stay, where the limit of open files allows them.
const STAYING_CONNECTIONS: usize = 10_000;

/// Open files of a proxy beside two for each connection: Ebb keeps some of them for its admin port.
const OTHER_FILES: usize = 700;

/// A load.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// HTTP/1 on 64 connections that stay, short answers.
    KeepAlive,
    /// HTTP/1, 64 at a time, a connection for each request.
    Fresh,
    /// HTTP/2 on 16 connections with 16 requests open on each, short answers.
    Http2,
    /// Bodies of 1 GiB, one after the other.
    Bulk,
    /// A thousand short requests a second, HTTP/1 on connections that stay.
    Latency,
    /// The same with a connection for each request.
    LatencyFresh,
    /// The same by HTTP/2.
    LatencyHttp2,
    /// 10,000 connections that have carried one request each.
    Idle,
    /// A drain that tells 10,000 idle HTTP/2 connections to leave, while others go on.
    Goodbye,
    /// Two hundred drains that wait for one request each.
    Release,
    /// What the proxy answers by itself, as it does to probes, under the load of `KeepAlive`.
    Admin,
}

/// A number that is measured. The order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// CPU time, user and system together.
    Cpu,
    /// Its share in the program.
    CpuUser,
    /// Its share in the kernel.
    CpuSystem,
    /// What came through in a second.
    Throughput,
    /// The median of the times.
    P50,
    /// The time that 99 of 100 do not exceed.
    P99,
    /// The longest of the times.
    Longest,
    /// The median of the times while there is nothing else to do.
    IdleP50,
    /// The time that 99 of 100 do not exceed then.
    IdleP99,
    /// Resident memory after the start.
    ResidentAtStart,
    /// Resident memory under load.
    Resident,
    /// All memory of the control group, the kernel's share included.
    Group,
}

// === impl Case ===

impl Case {
    /// What its clients speak.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Http2 | Self::LatencyHttp2 | Self::Goodbye => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }

    /// Whether what is measured is the time of single requests at a low rate.
    pub fn is_latency(self) -> bool {
        matches!(
            self,
            Self::Latency | Self::LatencyFresh | Self::LatencyHttp2
        )
    }

    /// Whether what is measured is a drain, which only Ebb's builds do.
    pub fn is_drain(self) -> bool {
        matches!(self, Self::Goodbye | Self::Release)
    }

    /// Which of the proxies take part, in their order.
    pub fn participants(self, proxies: &[Proxy]) -> Vec<Proxy> {
        let takes_part = |proxy: &&Proxy| match (self, **proxy) {
            _ if self.is_drain() => {
                matches!(proxy, Proxy::Ebb | Proxy::EbbRedirect | Proxy::EbbBeside)
            }
            (_, Proxy::Direct) => self.is_latency(),
            (_, Proxy::HaproxySplice) => self == Self::Bulk,
            (Self::Admin, proxy) => proxy.own_port().is_some(),
            _ => true,
        };
        proxies.iter().filter(takes_part).copied().collect()
    }

    /// The unit of a metric in this case.
    pub fn unit(self, metric: Metric) -> &'static str {
        match (metric, self) {
            (Metric::Cpu | Metric::CpuUser | Metric::CpuSystem, Self::Bulk) => "ms/GiB",
            (Metric::Cpu | Metric::CpuUser | Metric::CpuSystem, Self::Goodbye) => "us/connection",
            (Metric::Cpu | Metric::CpuUser | Metric::CpuSystem, _) => "us/request",
            (Metric::Throughput, Self::Bulk) => "MB/s",
            (Metric::Throughput, _) => "requests/s",
            (
                Metric::P50 | Metric::P99 | Metric::Longest | Metric::IdleP50 | Metric::IdleP99,
                _,
            ) => "us",
            (Metric::ResidentAtStart | Metric::Resident | Metric::Group, _) => "MB",
        }
    }

    /// What the table calls it.
    pub fn title(self) -> String {
        match self {
            Self::Latency | Self::LatencyFresh | Self::LatencyHttp2 => {
                format!("{self} (what the proxy adds)")
            }
            Self::Idle => format!("{self} ({} connections)", staying_connections()),
            Self::Goodbye => format!(
                "{self} ({} connections; times are what it adds to others)",
                staying_connections()
            ),
            Self::Admin => {
                format!("{self} (what the proxy answers by itself, under load and at rest)")
            }
            Self::Release => format!("{self} (from the last byte in flight to the hook's answer)"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeepAlive => "keep-alive",
            Self::Fresh => "fresh",
            Self::Http2 => "http2",
            Self::Bulk => "bulk",
            Self::Latency => "latency",
            Self::LatencyFresh => "latency-fresh",
            Self::LatencyHttp2 => "latency-http2",
            Self::Idle => "idle",
            Self::Goodbye => "goodbye",
            Self::Release => "release",
            Self::Admin => "admin",
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::CpuUser => "user CPU",
            Self::CpuSystem => "system CPU",
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Longest => "longest",
            Self::IdleP50 => "p50 at rest",
            Self::IdleP99 => "p99 at rest",
            Self::ResidentAtStart => "resident memory at start",
            Self::Resident => "resident memory",
            Self::Group => "memory of the cgroup",
        })
    }
}

/// How many connections stay in the cases [`Case::Idle`] and [`Case::Goodbye`]: fewer than they ask
/// for where the limit of open files, which not every root may raise, does not allow more.
pub fn staying_connections() -> usize {
    (file_limit().saturating_sub(OTHER_FILES) / 2).min(STAYING_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a proxy there is only latency to measure; splicing matters for long bodies only; and
    /// only Ebb is drained.
    #[test]
    fn not_everybody_takes_part_in_everything() {
        let all = [Proxy::Direct, Proxy::Ebb, Proxy::HaproxySplice];
        assert_eq!(Case::KeepAlive.participants(&all), [Proxy::Ebb]);
        for case in [Case::Latency, Case::LatencyFresh, Case::LatencyHttp2] {
            assert_eq!(case.participants(&all), [Proxy::Direct, Proxy::Ebb]);
        }
        assert_eq!(
            Case::Bulk.participants(&all),
            [Proxy::Ebb, Proxy::HaproxySplice]
        );
        assert_eq!(Case::Goodbye.participants(&all), [Proxy::Ebb]);
        let others = [Proxy::Ebb, Proxy::HaproxyTcp, Proxy::NginxHttp];
        let with_an_own_answer = [Proxy::Ebb, Proxy::HaproxyTcp];
        assert_eq!(Case::Admin.participants(&others), with_an_own_answer);
    }
}
