//! As much as goes through: CPU time for each request or byte, throughput, memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Turn, megabytes};
use crate::accounting::{CpuTime, group_memory};
use crate::backend::{LONG, SHORT};
use crate::case::Metric;
use crate::load::blocking;
use crate::proxy::Running;
use crate::topology::Role;

/// Short requests; `load` is given their URL and returns how many were answered.
pub(super) fn requests(
    turn: &Turn<'_>,
    load: impl FnOnce(&str) -> Result<u64>,
) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let url = format!("http://{}{SHORT}", running.address);
    used(&running, 1e6, || load(&url))
}

/// Long bodies: CPU in milliseconds for each GiB, throughput in MB/s.
pub(super) fn bodies(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let scale = 1e3 * (1_u64 << 30) as f64;
    let mut measured = used(&running, scale, || {
        turn.topology.inside(Role::Load, || {
            blocking::in_bulk(running.address, LONG, turn.duration)
        })
    })?;
    for (metric, value) in &mut measured {
        if *metric == Metric::Throughput {
            *value /= 1e6;
        }
    }
    Ok(measured)
}

/// Does `work`, which returns how much it was, and sets the proxy's CPU time, in seconds times
/// `scale`, against it.
fn used(
    running: &Running,
    scale: f64,
    work: impl FnOnce() -> Result<u64>,
) -> Result<Vec<(Metric, f64)>> {
    let before = running.cpu_time()?;
    let start = Instant::now();
    let amount = work()?;
    let seconds = start.elapsed().as_secs_f64();
    let mut measured = each(running.cpu_time()? - before, amount, scale)?;
    measured.push((Metric::Throughput, amount as f64 / seconds));
    measured.push((Metric::Resident, megabytes(running.resident()?)));
    measured.push((Metric::Group, megabytes(group_memory()?)));
    Ok(measured)
}

/// The CPU time of each of `amount` requests, bytes or connections.
pub(super) fn each(spent: CpuTime, amount: u64, scale: f64) -> Result<Vec<(Metric, f64)>> {
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
        let measured = each(spent, 10_000, 1e6).unwrap();
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
        assert!(each(idle, 10_000, 1e6).is_err());
    }
}
