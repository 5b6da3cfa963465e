//! The words of Ebb.
