//! Sockets of a machine's network, for a process that runs outside of it.
//!
//! A socket belongs for ever to the network namespace of the thread that made it. So one thread
//! enters the namespace and does nothing but make sockets; everything else is done where the caller
//! is.

use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Result;
use ebb_bed::Bed;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// What makes sockets in a machine's network. Clones share the thread, which ends with the last of
/// them.
#[derive(Clone, Debug)]
pub struct Sockets {
    requests: Sender<Request>,
}

#[derive(Debug)]
struct Request {
    family: AddressFamily,
    answer: oneshot::Sender<io::Result<StdTcpStream>>,
}

// === impl Sockets ===

impl Sockets {
    /// Those of a machine of the bed: `node-1`, `node-2` or `control-plane`.
    pub fn of(bed: &Bed, machine: &str) -> Result<Self> {
        let network = bed.network(machine)?;
        let (requests, received) = channel();
        let (entered, result) = channel();
        std::thread::Builder::new()
            .name(format!("sockets of {machine}"))
            .spawn(move || {
                let moved = network.enter();
                let make_sockets = moved.is_ok();
                // The creator waits for this; it can't have gone.
                let _ = entered.send(moved);
                if make_sockets {
                    serve(&received);
                }
            })?;
        result.recv()??;
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
