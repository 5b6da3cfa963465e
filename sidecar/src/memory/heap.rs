//! What the relay's buffers hold. The allocator keeps what was freed, in the hope that it is asked
//! for again, and does not say how much that is: the rest of what the kernel counts must be it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What a process has that has nothing to do with the number of its connections, in bytes: more
/// than it ever was.
const ITSELF: u64 = 6 << 20;

/// The same for each connection that holds no bytes.
const CONNECTION: u64 = 6 * 1024;

/// What all buffers of the process hold, in bytes. A process has one heap.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// A buffer has become larger or smaller.
pub(crate) fn resized(from: usize, to: usize) {
    // The sum wraps around in between, and is right in the end.
    HELD.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
}

/// What can be had again of this much of the process's own memory, with so many connections, in
/// bytes. Free pieces may lie between others, so only half of what is free counts.
pub(super) fn spare(anonymous: u64, open: u64) -> u64 {
    let held = u64::try_from(HELD.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
    let in_use = ITSELF.saturating_add(open.saturating_mul(CONNECTION));
    anonymous.saturating_sub(in_use.saturating_add(held)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What connections and their buffers hold is not to be had again; what they held is.
    #[test]
    fn what_was_freed_can_be_had_again() {
        const MIB: usize = 1 << 20;
        assert_eq!(spare(ITSELF, 0), 0);
        let before = spare(ITSELF + 100 * MIB as u64, 0);
        assert!(before <= 50 << 20, "{before}");
        assert!(spare(ITSELF + 100 * MIB as u64, 1000) < before);
        resized(0, 100 * MIB);
        assert_eq!(spare(ITSELF + 100 * MIB as u64, 0), 0);
        resized(100 * MIB, 0);
    }
}
