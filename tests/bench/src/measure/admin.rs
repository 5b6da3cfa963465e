//! What the proxy answers by itself, as it does to kubelet's probes: under load, and while it has
//! nothing to do.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ebb_bed::progress::say;

use super::{Turn, microseconds};
use crate::backend::SHORT;
use crate::case::Metric;
use crate::load::blocking::Connection;
use crate::load::{pings, wrk};
use crate::statistics::quantile;
use crate::topology::{Role, Topology};

/// The pause between two requests: far fewer than what the proxy forwards.
const PACE: Duration = Duration::from_millis(2);

/// Room for a short answer.
const BUFFER: usize = 4096;

pub(super) fn measure(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let port = turn.proxy.own_port();
    let own = Topology::address(port.context("it answers nothing by itself")?);
    let ask = |duration| turn.topology.inside(Role::Load, || ask(own, duration));
    let at_rest = ask(turn.duration / 2)?;
    let url = format!("http://{}{SHORT}", running.address);
    // The load lasts for longer than what is measured under it, at both ends.
    let (under_load, share) = thread::scope(|scope| {
        const KEPT: wrk::Connections = wrk::Connections::Kept;
        let load =
            scope.spawn(|| wrk::run(turn.topology, turn.programs, &url, KEPT, turn.duration));
        thread::sleep(turn.duration / 4);
        let (before, began) = (running.cpu_time()?, Instant::now());
        let took = ask(turn.duration / 2);
        let spent = running.cpu_time()? - before;
        let share = spent.total().as_secs_f64() / began.elapsed().as_secs_f64();
        load.join().expect("a load does not panic")?;
        anyhow::Ok((took?, share))
    })?;
    say(format!("the proxy took {:.0} % of its CPU", 100.0 * share));
    Ok(vec![
        (Metric::P50, quantile(&under_load, 0.5)),
        (Metric::P99, quantile(&under_load, 0.99)),
        (Metric::IdleP50, quantile(&at_rest, 0.5)),
        (Metric::IdleP99, quantile(&at_rest, 0.99)),
    ])
}

/// Asks again and again, each time over a connection of its own, as kubelet does. How long each
/// answer took, in microseconds, the shortest first.
fn ask(own: SocketAddr, duration: Duration) -> Result<Vec<f64>> {
    pings::go_first()?;
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < duration {
        thread::sleep(PACE);
        let asked = Instant::now();
        Connection::open(own)?.get("/readyz", &mut [0; BUFFER])?;
        took.push(microseconds(asked.elapsed()));
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}
