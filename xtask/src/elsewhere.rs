//! The requirements where this is not Linux: they can't be met.

use anyhow::{Result, bail};

/// Refuses.
pub(crate) fn of_the_cluster() -> Result<()> {
    bail!("the cluster needs Linux: it is made of namespaces and cgroups")
}

/// Refuses: what needs root works with the cluster, or with namespaces of its own.
pub(crate) fn root() -> Result<()> {
    bail!("this needs Linux: it works with namespaces and cgroups")
}
