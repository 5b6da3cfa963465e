//! What is asked of each proxy, and what is measured while it is.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::accounting::{CpuTime, group_memory};
use super::backend::{LONG, SHORT};
use super::isolate::file_limit;
use super::load::{blocking, h2load, wrk};
use super::place::{Place, Role};
use super::programs::Programs;
use super::proxy::{Protocol, Proxy, Running};
use super::statistics::quantile;

/// Connections that stay, where the limit of open files allows so many.
const IDLE_CONNECTIONS: usize = 10_000;

/// Open files of a proxy beside two for each connection.
const OTHER_FILES: usize = 200;

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
    /// A thousand short requests a second.
    Latency,
    /// 10,000 connections that have carried one request each.
    Idle,
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
    /// The median time that a request takes.
    P50,
    /// The time that 99 of 100 requests do not exceed.
    P99,
    /// Resident memory after the start.
    ResidentAtStart,
    /// Resident memory under load.
    Resident,
    /// All memory of the control group, the kernel's share included.
    Group,
}

// === impl Case ===

impl Case {
    /// Every case.
    pub const ALL: [Self; 6] = [
        Self::KeepAlive,
        Self::Fresh,
        Self::Http2,
        Self::Bulk,
        Self::Latency,
        Self::Idle,
    ];

    /// What its clients speak.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Http2 => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }

    /// Which of the proxies take part, in their order.
    pub fn participants(self, proxies: &[Proxy]) -> Vec<Proxy> {
        let takes_part = |proxy: &Proxy| match proxy {
            Proxy::Direct => self == Self::Latency,
            Proxy::HaproxySplice => self == Self::Bulk,
            _ => true,
        };
        proxies.iter().copied().filter(takes_part).collect()
    }

    /// The unit of a metric in this case.
    pub fn unit(self, metric: Metric) -> &'static str {
        match metric {
            Metric::Cpu | Metric::CpuUser | Metric::CpuSystem if self == Self::Bulk => "ms/GiB",
            Metric::Cpu | Metric::CpuUser | Metric::CpuSystem => "us/request",
            Metric::Throughput if self == Self::Bulk => "MB/s",
            Metric::Throughput => "requests/s",
            Metric::P50 | Metric::P99 => "us",
            Metric::ResidentAtStart | Metric::Resident | Metric::Group => "MB",
        }
    }

    /// Puts the load on what runs, and measures.
    pub fn measure(
        self,
        place: &Place,
        programs: &Programs,
        running: &Running,
        duration: Duration,
    ) -> Result<Vec<(Metric, f64)>> {
        let url = format!("http://{}{SHORT}", running.address);
        let kept = wrk::Connections::Kept;
        let fresh = wrk::Connections::Fresh;
        match self {
            Self::KeepAlive => used(running, 1e6, || {
                wrk::run(place, programs, &url, kept, duration)
            }),
            Self::Fresh => used(running, 1e6, || {
                wrk::run(place, programs, &url, fresh, duration)
            }),
            Self::Http2 => used(running, 1e6, || {
                h2load::run(place, programs, &url, duration)
            }),
            Self::Bulk => bulk(place, running, duration),
            Self::Latency => latency(place, running, duration),
            Self::Idle => idle(place, running),
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
            Self::Idle => "idle",
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
            Self::P50 => "added p50",
            Self::P99 => "added p99",
            Self::ResidentAtStart => "resident memory at start",
            Self::Resident => "resident memory",
            Self::Group => "memory of the cgroup",
        })
    }
}

/// Does `work`, which returns how many requests it made, and sets the proxy's CPU time, in seconds
/// times `scale`, against them.
fn used(
    running: &Running,
    scale: f64,
    work: impl FnOnce() -> Result<u64>,
) -> Result<Vec<(Metric, f64)>> {
    let before = running.cpu_time()?;
    let start = Instant::now();
    let amount = work()?;
    let seconds = start.elapsed().as_secs_f64();
    let spent = running.cpu_time()? - before;
    let mut measured = per_request(spent, amount, scale)?;
    measured.push((Metric::Throughput, amount as f64 / seconds));
    measured.push((Metric::Resident, megabytes(running.resident()?)));
    Ok(measured)
}

fn per_request(spent: CpuTime, amount: u64, scale: f64) -> Result<Vec<(Metric, f64)>> {
    ensure!(amount > 0, "nothing came through");
    // Without this, a redirect that does not redirect would be the fastest of all.
    ensure!(
        !spent.total().is_zero(),
        "the proxy did nothing: the load went past it"
    );
    let each = |time: Duration| time.as_secs_f64() * scale / amount as f64;
    Ok(vec![
        (Metric::Cpu, each(spent.total())),
        (Metric::CpuUser, each(spent.user)),
        (Metric::CpuSystem, each(spent.system)),
    ])
}

/// CPU in milliseconds for each GiB, throughput in MB/s.
fn bulk(place: &Place, running: &Running, duration: Duration) -> Result<Vec<(Metric, f64)>> {
    let scale = 1e3 * (1_u64 << 30) as f64;
    let mut measured = used(running, scale, || {
        place.inside(Role::Load, || {
            blocking::in_bulk(running.address, LONG, duration)
        })
    })?;
    for (metric, value) in &mut measured {
        if *metric == Metric::Throughput {
            *value /= 1e6;
        }
    }
    Ok(measured)
}

/// In microseconds, with the way to the backend in it.
fn latency(place: &Place, running: &Running, duration: Duration) -> Result<Vec<(Metric, f64)>> {
    let mut took: Vec<f64> = place
        .inside(Role::Load, || {
            blocking::at_a_low_rate(running.address, SHORT, duration)
        })?
        .iter()
        .map(|took| took.as_secs_f64() * 1e6)
        .collect();
    took.sort_by(f64::total_cmp);
    Ok(vec![
        (Metric::P50, quantile(&took, 0.5)),
        (Metric::P99, quantile(&took, 0.99)),
    ])
}

fn idle(place: &Place, running: &Running) -> Result<Vec<(Metric, f64)>> {
    let at_start = running.resident()?;
    let count = idle_connections();
    place.inside(Role::Load, || {
        let _open = blocking::that_stay(running.address, SHORT, count)?;
        Ok(vec![
            (Metric::ResidentAtStart, megabytes(at_start)),
            (Metric::Resident, megabytes(running.resident()?)),
            (Metric::Group, megabytes(group_memory()?)),
        ])
    })
}

/// How many connections stay in the case [`Case::Idle`]: fewer than it asks for where the limit of
/// open files, which not every root may raise, does not allow more.
pub fn idle_connections() -> usize {
    (file_limit().saturating_sub(OTHER_FILES) / 2).min(IDLE_CONNECTIONS)
}

/// Of a million bytes.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// User and system time are apart, and their sum is the whole.
    #[test]
    fn cpu_time_is_set_against_requests() {
        let spent = CpuTime {
            user: MILLISECOND * 10,
            system: MILLISECOND * 140,
        };
        let measured = per_request(spent, 10_000, 1e6).unwrap();
        let expected = [
            (Metric::Cpu, 15.0),
            (Metric::CpuUser, 1.0),
            (Metric::CpuSystem, 14.0),
        ];
        for ((metric, value), expected) in measured.into_iter().zip(expected) {
            assert_eq!(metric, expected.0);
            assert!((value - expected.1).abs() < 1e-9, "{metric}: {value}");
        }
    }

    /// A load that did not go through the proxy is no result, however good it looks.
    #[test]
    fn a_proxy_that_did_nothing_is_an_error() {
        let idle = CpuTime {
            user: Duration::ZERO,
            system: Duration::ZERO,
        };
        assert!(per_request(idle, 10_000, 1e6).is_err());
    }

    /// Without a proxy there is only latency to measure; splicing matters for long bodies only.
    #[test]
    fn not_everybody_takes_part_in_everything() {
        let all = [Proxy::Direct, Proxy::Ebb, Proxy::HaproxySplice];
        assert_eq!(Case::KeepAlive.participants(&all), [Proxy::Ebb]);
        assert_eq!(
            Case::Latency.participants(&all),
            [Proxy::Direct, Proxy::Ebb]
        );
        assert_eq!(
            Case::Bulk.participants(&all),
            [Proxy::Ebb, Proxy::HaproxySplice]
        );
    }
}
