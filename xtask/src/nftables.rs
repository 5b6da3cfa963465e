//! Asks the kernel for nftables, which the rules of Services and of the sidecar's redirect need.
//!
//! There may be no `nft` to ask with, so the question is put directly: one netlink message, "which
//! generation are your rules", that changes nothing.

use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

// linux/netfilter/nfnetlink.h and nf_tables.h.
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_GETGEN: u16 = 16;
// linux/netlink.h.
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;

/// What is in the way of nftables, if anything is.
pub(crate) fn missing() -> Option<String> {
    match ask() {
        Ok(kind) if kind != NLMSG_ERROR => None,
        Ok(_) => {
            Some("the kernel has no nftables (CONFIG_NF_TABLES), or may not load it".to_owned())
        }
        Err(error) => Some(format!("the kernel can't be asked for nftables: {error}")),
    }
}

/// The type of the kernel's answer.
fn ask() -> Result<u16, Errno> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(2)))?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // struct nlmsghdr: the length (4 bytes), then the type.
    if length < 6 {
        Err(Errno::BADMSG)
    } else {
        Ok(u16::from_ne_bytes([answer[4], answer[5]]))
    }
}

/// A struct nlmsghdr and a struct nfgenmsg.
fn request() -> Vec<u8> {
    let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
    let mut message = Vec::with_capacity(20);
    message.extend(20_u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 12]);
    message
}
