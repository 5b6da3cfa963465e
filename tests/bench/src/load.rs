//! The load of the benchmark. Each kind ends by itself, after the time it is given or a fixed
//! amount of work.
//!
//! Requests at full speed come from generators that others know (wrk and h2load). What they can't
//! do (latency at a low rate, bodies larger than memory, connections that just stay, drains) is
//! done here, by threads that block.

pub mod blocking;
pub mod h2load;
pub mod http2;
pub mod paced;
pub mod pings;
pub mod wrk;
