//! Connections out of a machine's network, for a process that runs outside of it.
//!
//! A socket belongs for ever to the network namespace of the thread that made it. So one thread
//! enters the namespace and does nothing but make sockets; everything else is done where the caller
//! is.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context as _, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::process::Identity;

/// A machine's network. Clones share the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Namespace {
    requests: Sender<Request>,
}

#[derive(Debug)]
struct Request {
    family: AddressFamily,
    answer: oneshot::Sender<io::Result<StdTcpStream>>,
}

// === impl Namespace ===

impl Namespace {
    /// The network of the machine whose first process is `holder`.
    pub fn of(holder: Identity) -> Result<Self> {
        let path = format!("/proc/{}/ns/net", holder.pid);
        let namespace = File::open(&path).with_context(|| format!("can't open {path}"))?;
        let (requests, received) = channel();
        let (entered, result) = channel();
        std::thread::Builder::new()
            .name("namespace".to_owned())
            .spawn(move || {
                let moved =
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
                let make_sockets = moved.is_ok();
                // The creator waits for this; it can't have gone.
                let _ = entered.send(moved);
                if make_sockets {
                    serve(&received);
                }
            })?;
        result
            .recv()?
            .with_context(|| format!("can't enter the network {path}: is this root?"))?;
        Ok(Self { requests })
    }

    /// An unbound and unconnected TCP socket in that network, fit for `address`.
    pub async fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let family = if address.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::other("the thread in the namespace has ended");
        self.requests
            .send(Request { family, answer })
            .map_err(|_| gone())?;
        Ok(TcpSocket::from_std_stream(
            answered.await.map_err(|_| gone())??,
        ))
    }

    /// A TCP connection out of that network.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.socket(address).await?.connect(address).await
    }
}

fn serve(requests: &Receiver<Request>) {
    while let Ok(Request { family, answer }) = requests.recv() {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None);
        // Whoever asked may have been cancelled: then the socket is closed here.
        let _ = answer.send(socket.map(StdTcpStream::from).map_err(io::Error::from));
    }
}
