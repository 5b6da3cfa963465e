//! How soon kubelet hears that the last request is answered.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ebb_api::names::SIDECAR_CONTAINER;
use ebb_netns::bootstrap::APP;

use super::{Turn, microseconds};
use crate::case::Metric;
use crate::load::blocking::connect;
use crate::statistics::quantile;
use crate::topology::{Role, Topology};

/// How many drains there are.
const DRAINS: usize = 200;

/// How long the app takes to answer when the drain has begun: longer than the drain needs to be
/// sure that nothing else is in flight.
const WORK: Duration = Duration::from_millis(200);

const REQUEST: &[u8] = b"POST /orders HTTP/1.1\r\nhost: app\r\ncontent-length: 4\r\n\r\nwork";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

pub(super) fn measure(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let bind = || Ok(TcpListener::bind(Topology::address(0))?);
    let app = turn.topology.inside(Role::Backend, bind)?;
    let drains = 0..DRAINS;
    let mut took = drains
        .map(|index| drain(turn, &app).with_context(|| format!("drain {index}")))
        .collect::<Result<Vec<f64>>>()?;
    took.sort_by(f64::total_cmp);
    Ok(vec![
        (Metric::P50, quantile(&took, 0.5)),
        (Metric::P99, quantile(&took, 0.99)),
        (Metric::Longest, quantile(&took, 1.0)),
    ])
}

/// One drain of a sidecar that was just started. The clock runs from before the app writes its
/// answer, the earliest moment that anybody could name, until the last hook is answered.
fn drain(turn: &Turn<'_>, app: &TcpListener) -> Result<f64> {
    let _running = turn.start()?;
    let address = app.local_addr()?;
    turn.topology.inside(Role::Load, || {
        let mut client = connect(address)?;
        client.write_all(REQUEST)?;
        let (mut at_app, _) = app.accept()?;
        at_app.read_exact(&mut [0; REQUEST.len()])?;
        let held = Topology::admin().call_hooks(&[APP, SIDECAR_CONTAINER])?;
        thread::sleep(WORK);
        let last_byte = Instant::now();
        at_app.write_all(ANSWER)?;
        let answered = held.released()?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        ensure!(answer.ends_with("done"), "the client got {answer:?}");
        Ok(microseconds(answered - last_byte))
    })
}
