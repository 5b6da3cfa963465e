//! The arrows between our crates, and what of other people's may never get into one. [`CRATES`]
//! says it for each.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;

use super::complain;
use crate::metadata::{Metadata, Package, closure};

/// A crate of ours.
struct Crate {
    name: &'static str,
    /// Those of ours that it may depend on.
    uses: &'static [&'static str],
    /// What it is never built with, whoever would bring it.
    never: &'static [&'static [&'static str]],
}

/// What talks to an API server, and its types.
const KUBERNETES: &[&str] = &["kube", "kube-client", "kube-core", "k8s-openapi"];
/// A client, though not the types.
const CLIENT: &[&str] = &["kube-client", "kube-runtime"];
/// What waits and what is waited for: sockets, clocks and tasks.
const INPUT_OUTPUT: &[&str] = &["tokio", "hyper", "hyper-util", "axum", "tower"];
/// What makes or opens TLS.
const TLS: &[&str] = &["rustls", "rcgen", "tokio-rustls"];

const CRATES: &[Crate] = &[
    // Whatever the controller and the sidecar share, each of them pays for.
    Crate {
        name: "ebb-api",
        uses: &[],
        never: &[KUBERNETES, INPUT_OUTPUT, TLS],
    },
    // It runs in every pod: its size counts, and it can't talk to an API server if it has nothing
    // to do so with.
    Crate {
        name: "ebb-sidecar",
        uses: &["ebb-api"],
        never: &[KUBERNETES, &["axum", "tower", "clap"], TLS],
    },
    // Views, plan and texts, for whatever program shows or decides something: the types of
    // Kubernetes, and nothing that acts.
    Crate {
        name: "ebb-model",
        uses: &["ebb-api"],
        never: &[CLIENT, INPUT_OUTPUT, TLS, &["prometheus-client"]],
    },
    Crate {
        name: "ebb-controller",
        uses: &["ebb-api", "ebb-model"],
        never: &[],
    },
    // Its image builds without a Kubernetes client.
    Crate {
        name: "ebb-sample-app",
        uses: &[],
        never: &[KUBERNETES, TLS],
    },
    // The sidecar's own tests stand on it.
    Crate {
        name: "ebb-netns",
        uses: &["ebb-api"],
        never: &[KUBERNETES, INPUT_OUTPUT, TLS],
    },
    // A cluster that is wanted waits for this to be built.
    Crate {
        name: "ebb-bed",
        uses: &["ebb-netns", "ebb-paths"],
        never: &[KUBERNETES, INPUT_OUTPUT, &["rustls", "tokio-rustls"]],
    },
    Crate {
        name: "ebb-load",
        uses: &["ebb-sample-app"],
        never: &[KUBERNETES, TLS],
    },
    Crate {
        name: "ebb-clients",
        uses: &["ebb-api", "ebb-bed", "ebb-netns"],
        never: &[KUBERNETES, INPUT_OUTPUT],
    },
    Crate {
        name: "ebb-bench",
        uses: &["ebb-api", "ebb-bed", "ebb-netns"],
        never: &[KUBERNETES],
    },
    // The sidecar's own tests stand on it.
    Crate {
        name: "ebb-compare",
        uses: &["ebb-api", "ebb-netns"],
        never: &[KUBERNETES, INPUT_OUTPUT, TLS],
    },
    Crate {
        name: "ebb-cluster",
        uses: &[
            "ebb-api",
            "ebb-bed",
            "ebb-load",
            "ebb-paths",
            "ebb-sample-app",
        ],
        never: &[],
    },
    Crate {
        name: "ebb-demo",
        uses: &["ebb-api", "ebb-bed", "ebb-cluster", "ebb-load"],
        never: &[],
    },
    // The only door asks it before anything is built.
    Crate {
        name: "ebb-paths",
        uses: &[],
        never: &[KUBERNETES, INPUT_OUTPUT, TLS, &["anyhow"]],
    },
    // The only door: it compiles in seconds, and where the rest does not.
    Crate {
        name: "xtask",
        uses: &["ebb-paths"],
        never: &[KUBERNETES, INPUT_OUTPUT, TLS, &["ring", "nlink"]],
    },
];

/// Fails if a crate uses one that it must not, or is built with what must never get into it.
pub(super) fn hold() -> Result<()> {
    let metadata = Metadata::read()?;
    let ours: BTreeSet<&str> = metadata.members().map(|member| &*member.name).collect();
    let mut problems = Vec::new();
    for member in metadata.members() {
        let Some(rules) = CRATES.iter().find(|rules| rules.name == member.name) else {
            problems.push(format!(
                "say in {} what the crate {} may use",
                file!(),
                member.name
            ));
            continue;
        };
        problems.extend(rules.uses_of_ours(member, &ours));
        problems.extend(rules.built_with(&closure(&member.name)?));
        if !takes_lints(member)? {
            problems.push(format!(
                "{}: add `[lints]` with `workspace = true` to its Cargo.toml",
                member.name
            ));
        }
    }
    for rules in CRATES.iter().filter(|rules| !ours.contains(rules.name)) {
        problems.push(format!(
            "there is no crate {} any more: remove it from {}",
            rules.name,
            file!()
        ));
    }
    complain(&problems)
}

/// Whether the lints of the workspace hold in it.
fn takes_lints(member: &Package) -> Result<bool> {
    let manifest = fs::read_to_string(member.folder().join("Cargo.toml"))?;
    Ok(manifest.contains("[lints]\nworkspace = true"))
}

// === impl Crate ===

impl Crate {
    /// Tests may look at more: what is below `[dev-dependencies]` is free.
    fn uses_of_ours(&self, member: &Package, ours: &BTreeSet<&str>) -> Vec<String> {
        member
            .dependencies
            .iter()
            .filter(|used| !used.is_for_tests && ours.contains(&*used.name))
            .filter(|used| !self.uses.contains(&&*used.name))
            .map(|used| {
                format!(
                    "{} depends on {}, which {} does not allow: turn the arrow round, or say there \
                     why it is right",
                    self.name,
                    used.name,
                    file!()
                )
            })
            .collect()
    }

    fn built_with(&self, closure: &BTreeSet<String>) -> Vec<String> {
        self.never
            .concat()
            .into_iter()
            .filter(|never| closure.contains(*never))
            .map(|never| {
                format!(
                    "{} is built with {never}, which must never get into it: see who brings it \
                     with `cargo tree -p {} -i {never}`",
                    self.name, self.name
                )
            })
            .collect()
    }
}
