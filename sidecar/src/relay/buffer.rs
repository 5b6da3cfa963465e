//! The buffer that reads go into: one for each thread, so that an idle connection holds none.

use std::cell::RefCell;

/// The most that is read at once. Copies of this size beat splicing.
const SIZE: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SIZE].into_boxed_slice());
}

/// Lends the buffer of this thread.
///
/// # Panics
///
/// It is lent already: `use_it` must not ask for it again.
pub(super) fn with_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| use_it(buffer))
}
