//! The file capability of the sidecar's program.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{XattrFlags, setxattr};

/// The extended attribute that holds a file's capabilities (capabilities(7)).
pub const ATTRIBUTE: &str = "security.capability";

/// The number of NET_RAW in the kernel's `linux/capability.h`.
const NET_RAW: u32 = 13;

/// The attribute's value: NET_RAW is permitted (`cap_net_raw+p` in setcap's words). It is not
/// effective, for then the program could not be started where the pod's rules forbid it.
///
/// The kernel's `struct vfs_cap_data` in its second revision: two words of 32 bits for the
/// permitted and the inheritable capabilities of each half, little endian.
pub fn value() -> [u8; 20] {
    const REVISION_2: u32 = 0x0200_0000;
    let mut value = [0; 20];
    value[..4].copy_from_slice(&REVISION_2.to_le_bytes());
    value[4..8].copy_from_slice(&(1_u32 << NET_RAW).to_le_bytes());
    value
}

/// Gives it to this file, as the images' builder does to the one in the image.
///
/// # Errors
///
/// This is not root, or the file system has no such attributes.
pub fn give(program: &Path) -> Result<()> {
    setxattr(program, ATTRIBUTE, &value(), XattrFlags::empty())
        .with_context(|| format!("can't give a capability to {}", program.display()))
}
