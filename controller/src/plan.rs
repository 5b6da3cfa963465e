//! What is to be: pure functions of what the cluster says. Nothing here talks to anybody.

pub mod select;
