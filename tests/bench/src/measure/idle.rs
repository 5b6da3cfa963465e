//! What connections cost that have nothing to do.

use anyhow::{Context as _, Result};

use super::{Turn, megabytes};
use crate::accounting::group_memory;
use crate::backend::SHORT;
use crate::case::{Metric, staying_connections};
use crate::load::blocking::Connection;
use crate::topology::Role;

pub(super) fn measure(turn: &Turn<'_>) -> Result<Vec<(Metric, f64)>> {
    let running = turn.start()?;
    let at_start = running.resident()?;
    let count = staying_connections();
    let one = || -> Result<Connection> {
        let mut connection = Connection::open(running.address)?;
        connection.get(SHORT, &mut [0; 4096])?;
        Ok(connection)
    };
    turn.topology.inside(Role::Load, || {
        let _open = (0..count)
            .map(|index| one().with_context(|| format!("connection {index} of {count}")))
            .collect::<Result<Vec<_>>>()?;
        Ok(vec![
            (Metric::ResidentAtStart, megabytes(at_start)),
            (Metric::Resident, megabytes(running.resident()?)),
            (Metric::Group, megabytes(group_memory()?)),
        ])
    })
}
