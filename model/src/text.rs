//! The words for what is known and decided, as they appear in statuses and Events.

pub mod conditions;
pub mod count;
pub mod duration;
pub mod gaps;
pub mod holders;
pub mod parts;
pub mod sentence;
pub mod size;
pub mod truncate;
pub mod values;
