//! The words for what is known and decided, as they appear in statuses and Events.

pub mod duration;
pub mod sentence;
pub mod truncate;
pub mod values;
