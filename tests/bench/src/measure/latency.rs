//! How long single requests take while there is little to do: the proxy's share is what is above
//! the direct way's.

use anyhow::Result;

use super::{Turn, microseconds};
use crate::backend::SHORT;
use crate::case::{Case, Metric};
use crate::load::paced::{self, Request};
use crate::load::{blocking, http2};
use crate::statistics::quantile;
use crate::topology::Role;

/// Connections that take turns.
const CONNECTIONS: usize = 8;

/// Room for a short answer.
const BUFFER: usize = 4096;

/// In microseconds, with the way to the backend in it.
pub(super) fn measure(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let address = running.address;
    let open = || -> Result<Request> {
        match turn.case {
            Case::LatencyFresh => Ok(Box::new(move || {
                let mut connection = blocking::Connection::open(address)?;
                connection.get(SHORT, &mut [0; BUFFER]).map(drop)
            })),
            Case::LatencyHttp2 => {
                let mut connection = http2::Connection::open(address)?;
                Ok(Box::new(move || connection.get(SHORT)))
            }
            _ => {
                let mut connection = blocking::Connection::open(address)?;
                Ok(Box::new(move || {
                    connection.get(SHORT, &mut [0; BUFFER]).map(drop)
                }))
            }
        }
    };
    let mut took: Vec<f64> = turn
        .topology
        .inside(Role::Load, || {
            let requests = (0..CONNECTIONS).map(|_| open()).collect::<Result<_>>()?;
            paced::at_a_low_rate(requests, turn.duration)
        })?
        .into_iter()
        .map(microseconds)
        .collect();
    took.sort_by(f64::total_cmp);
    Ok(vec![
        (Metric::P50, quantile(&took, 0.5)),
        (Metric::P99, quantile(&took, 0.99)),
    ])
}
