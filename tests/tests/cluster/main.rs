//! What Ebb promises, on a real Kubernetes.
//!
//! Every test has a namespace of its own. Most run beside others; those that disturb the whole
//! cluster, or need the whole machine, run alone. A failure prints what the namespace's objects,
//! Events and containers have to say, and the controller's log; see tests/README.md.

mod drains;
mod outages;
mod protection;
mod restarts;
mod rolls;
mod rules;
mod scene;
mod settings;
mod strangers;
mod words;
