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

/// What is missing to compile everything.
pub(crate) fn of_compiling() -> Option<String> {
    Some("this is not Linux, whose interfaces the sidecar and the test bed are built on".to_owned())
}

/// What is missing to build Helm.
pub(crate) fn of_helm() -> Option<String> {
    of_compiling()
}

/// What is missing for the tests in namespaces.
pub(crate) fn of_namespaces() -> Option<String> {
    of_compiling()
}
