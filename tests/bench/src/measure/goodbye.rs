//! What it costs to tell many idle HTTP/2 connections to leave, and what others wait for meanwhile.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ebb_api::names::SIDECAR_CONTAINER;
use ebb_bed::progress::say;
use ebb_netns::bootstrap::APP;
use tokio::task::JoinSet;

use super::traffic::each;
use super::{Turn, microseconds};
use crate::accounting::CpuTime;
use crate::backend::SHORT;
use crate::case::{Metric, staying_connections};
use crate::load::blocking::connect;
use crate::load::http2::{Connection, Leaver};
use crate::load::pings::{self, Ping};
use crate::proxy::Running;
use crate::statistics::quantile;
use crate::topology::{Role, Topology};

/// All clients have left after this time, or the drain is broken: without a controller their
/// goodbyes begin a second after its signal.
const PATIENCE: Duration = Duration::from_secs(30);

/// A drain, as its clients saw it.
struct Drain {
    /// When the hooks were called.
    began: Instant,
    /// When each connection was told to leave.
    told: Vec<Instant>,
    /// What the proxy spent on it, until the hooks were answered.
    spent: CpuTime,
}

pub(super) fn measure(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let bind = || Ok(TcpListener::bind(Topology::address(0))?);
    let listener = turn.topology.inside(Role::Backend, bind)?;
    let address = listener.local_addr()?;
    let (drain, pings) = turn.topology.inside(Role::Load, || {
        let client = connect(address)?;
        let (server, _) = listener.accept()?;
        let open = open(&running, staying_connections())?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let echo = scope.spawn(|| pings::echo(server));
            let pings = scope.spawn(|| pings::ping(client, &stop));
            let drain = drain(&running, open, turn.duration, &stop);
            stop.store(true, Ordering::Relaxed);
            let pings = pings.join().expect("pinging does not panic");
            echo.join().expect("an echo does not panic")?;
            Ok((drain?, pings.context("others were cut by the drain")?))
        })
    })?;
    numbers(&drain, &pings)
}

/// Opens connections that have carried one request each.
fn open(running: &Running, count: usize) -> Result<Vec<Connection>> {
    let one = || -> Result<Connection> {
        let mut connection = Connection::open(running.address)?;
        connection.get(SHORT)?;
        Ok(connection)
    };
    (0..count)
        .map(|index| one().with_context(|| format!("connection {index} of {count}")))
        .collect()
}

/// Drains while others ping, for whom it sets `stop` when all is said. What the pings alone cost is
/// measured before, and taken away. Clients leave when they are told to, as clients do that have
/// nothing open.
fn drain(
    running: &Running,
    open: Vec<Connection>,
    quiet: Duration,
    stop: &AtomicBool,
) -> Result<Drain> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _within = runtime.enter();
    let open = open.into_iter().map(Connection::leaver);
    let open = open.collect::<Result<Vec<_>>>()?;
    let before = running.cpu_time()?;
    thread::sleep(quiet);
    let pings = running.cpu_time()? - before;
    let before = running.cpu_time()?;
    let began = Instant::now();
    let held = Topology::admin().call_hooks(&[APP, SIDECAR_CONTAINER])?;
    let told = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, all_told(open)).await })
        .context("not every client was told to leave")??;
    stop.store(true, Ordering::Relaxed);
    let pings = pings * (began.elapsed().as_secs_f64() / quiet.as_secs_f64());
    held.released()?;
    let spent = running.cpu_time()? - before - pings;
    Ok(Drain { began, told, spent })
}

async fn all_told(open: Vec<Leaver>) -> Result<Vec<Instant>> {
    let mut clients: JoinSet<_> = open.into_iter().map(Leaver::told_to_leave).collect();
    let mut told = Vec::new();
    while let Some(client) = clients.join_next().await {
        told.push(client.context("a client panicked")??);
    }
    Ok(told)
}

fn numbers(drain: &Drain, pings: &[Ping]) -> Result<Vec<(Metric, f64)>> {
    let first = drain
        .told
        .iter()
        .min()
        .context("nobody was told to leave")?;
    let last = drain
        .told
        .iter()
        .max()
        .context("nobody was told to leave")?;
    let sorted = |pings: &mut dyn Iterator<Item = &Ping>| {
        let mut took: Vec<f64> = pings.map(|ping| microseconds(ping.took)).collect();
        took.sort_by(f64::total_cmp);
        took
    };
    let before = sorted(&mut pings.iter().filter(|ping| ping.due < drain.began));
    let usual = quantile(&before, 0.5);
    let meanwhile = sorted(&mut pings.iter().filter(|ping| ping.overlaps(*first, *last)));
    say(format!(
        "goodbyes within {} ms; before them a word took {usual:.0} us, and {:.0} us at most",
        (*last - *first).as_millis(),
        quantile(&before, 1.0),
    ));
    let mut measured = each(drain.spent, drain.told.len() as u64, 1e6)?;
    measured.push((Metric::P99, quantile(&meanwhile, 0.99) - usual));
    measured.push((Metric::Longest, quantile(&meanwhile, 1.0) - usual));
    Ok(measured)
}
