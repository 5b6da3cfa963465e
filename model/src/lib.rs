//! What is known of a cluster, what is to be, and the sentences that say so.
//!
//! ```text
//!  objects --> views (facts, as they arrive) --> plan (decisions) --> text (sentences)
//! ```
//!
//! There is no IO here, no client and no clock: the controller feeds the views from its watches,
//! any other program from a list, and both come to the same decisions in the same words. Data
//! enters on the left and leaves on the right; no room reaches back.

#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod plan;
pub mod text;
pub mod views;
