//! The file capability of the sidecar's program.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{XattrFlags, setxattr};

/// The extended attribute that holds a file's capabilities (capabilities(7)).
pub const ATTRIBUTE: &str = "security.capability";

/// The number of NET_RAW in the kernel's `linux/capability.h`.
const NET_RAW: usize = 13;

/// The attribute's value: NET_RAW is permitted (`cap_net_raw+p` in setcap's words). It is not
/// effective, for then the program could not be started where the pod's rules forbid it.
///
/// The kernel's `struct vfs_cap_data` in its second revision: two words of 32 bits for the
/// permitted and the inheritable capabilities of each half, little endian.
pub const VALUE: [u8; 20] = {
    const REVISION: u8 = 2;
    let mut value = [0; 20];
    value[3] = REVISION;
    value[4 + NET_RAW / 8] = 1 << (NET_RAW % 8);
    value
};

/// Gives it to this file, as the images' builder does to the one in the image.
///
/// # Errors
///
/// This is not root, or the file system has no such attributes.
pub fn give(program: &Path) -> Result<()> {
    setxattr(program, ATTRIBUTE, &VALUE, XattrFlags::empty())
        .with_context(|| format!("can't give a capability to {}", program.display()))
}
