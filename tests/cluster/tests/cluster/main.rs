//! What Ebb promises, on a real Kubernetes.
//!
//! Every test has a namespace of its own. Most run in parallel; those that disturb the whole
//! cluster, or need the whole machine, run exclusively. A failure prints what the namespace's
//! objects, Events and containers have to say, and the controller's log; see tests/README.md.

mod alone;
mod capture;
mod crashes;
mod debian;
mod drains;
mod fixtures;
mod forged;
mod hooks;
mod kubectl_output;
mod leadership;
mod leaving;
mod limit_ranges;
mod outages;
mod pauses;
mod processes;
mod protection;
mod restarts;
mod roles;
mod rolls;
mod rules;
mod settings;
mod trust;
mod untrusted;
