//! Where a scenario is played: a pod, and a network outside of it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::Result;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::{Mode, Wanted};
use ebb_netns::bootstrap;
use ebb_netns::pod::{Outside, Pod};
use ebb_netns::sidecar::{Launch, Sidecar};
use socket2::{Domain, SockRef, Socket, Type};

/// How long anything may take that takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The first of the app's ports; each scenario has ten of its own.
const FIRST_PORT: u16 = 20_000;

/// A pod, with a sidecar or without one, and the network outside of it.
#[derive(Debug)]
pub struct Stage {
    pod: Pod,
    outside: Outside,
    sidecar: Option<(Mode, Sidecar)>,
    next_port: AtomicU16,
}

/// The families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

/// A part of a stage that is one scenario's alone: one family of addresses, and ten ports.
#[derive(Debug)]
pub struct Place<'a> {
    stage: &'a Stage,
    family: Family,
    first_port: u16,
}

/// What the pod's kernel asks of the source of a packet of IPv4 (`rp_filter` in the kernel's
/// ip-sysctl.rst). Distributions and node agents set each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// Nothing.
    Any,
    /// That the way back to it leads through the device at which the packet came in.
    Strict,
    /// That there is any way back to it.
    Loose,
}

// === impl ReversePath ===

impl ReversePath {
    /// The value of the kernel's setting.
    fn value(self) -> &'static str {
        match self {
            Self::Any => "0",
            Self::Strict => "1",
            Self::Loose => "2",
        }
    }
}

// === impl Family ===

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Four, Self::Six];

    fn of(self, addresses: &[IpAddr]) -> IpAddr {
        match self {
            Self::Four => addresses[0],
            Self::Six => addresses[1],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Four => "IPv4",
            Self::Six => "IPv6",
        })
    }
}

// === impl Stage ===

impl Stage {
    /// A pod without Ebb.
    pub fn plain(reverse_path: ReversePath) -> Result<Self> {
        let (pod, outside) = Pod::cabled()?;
        for device in ["all", "eth0", "lo"] {
            let setting = format!("net/ipv4/conf/{device}/rp_filter");
            pod.network().set(&setting, reverse_path.value())?;
        }
        Ok(Self {
            pod,
            outside,
            sidecar: None,
            next_port: AtomicU16::new(FIRST_PORT),
        })
    }

    /// A pod with Ebb in this mode.
    pub fn with_sidecar(
        mode: Mode,
        reverse_path: ReversePath,
        program: &Path,
        scratch: &Path,
    ) -> Result<Self> {
        let mut stage = Self::plain(reverse_path)?;
        let bootstrap = Bootstrap {
            capture: Wanted::only(mode),
            ..bootstrap::of(bootstrap::policy())
        };
        let launch = Launch::new(program, &bootstrap);
        launch.redirect(&stage.pod)?;
        let mut sidecar = launch.start(&stage.pod, mode.as_str(), scratch)?;
        // Its admin port is asked from outside, as kubelet does.
        let outside = stage.outside.network().namespace();
        outside.inside(|| sidecar.started_in(mode))?;
        stage.sidecar = Some((mode, sidecar));
        Ok(stage)
    }

    /// A place for a scenario.
    pub fn place(&self, family: Family) -> Place<'_> {
        Place {
            stage: self,
            family,
            first_port: self.next_port.fetch_add(10, Ordering::Relaxed),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sidecar {
            None => f.write_str("without Ebb"),
            Some((mode, _)) => write!(f, "in mode {mode}"),
        }
    }
}

// === impl Place ===

impl Place<'_> {
    /// The pod's address.
    pub fn pod(&self) -> IpAddr {
        self.family.of(self.stage.pod.addresses())
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        self.family.of(self.stage.outside.addresses())
    }

    /// The loopback address.
    pub fn loopback(&self) -> IpAddr {
        match self.family {
            Family::Four => [127, 0, 0, 1].into(),
            Family::Six => std::net::Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// All addresses.
    pub fn anywhere(&self) -> IpAddr {
        match self.family {
            Family::Four => [0, 0, 0, 0].into(),
            Family::Six => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// One of the scenario's ports: 0 to 9.
    pub fn port(&self, number: u16) -> u16 {
        self.first_port + number
    }

    /// Runs `ip` in the pod.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        self.stage.pod.network().ip(arguments)
    }

    /// Writes a kernel setting of the pod: a path below `/proc/sys`.
    pub fn set(&self, setting: &str, value: &str) -> Result<()> {
        self.stage.pod.network().set(setting, value)
    }

    /// Runs `ip` outside of the pod.
    pub fn ip_outside(&self, arguments: &str) -> Result<String> {
        self.stage.outside.network().ip(arguments)
    }

    /// The index of the client's interface, which is what a link-local address needs.
    pub fn cable(&self) -> Result<u32> {
        let interface = Outside::INTERFACE;
        let shown = self.ip_outside(&format!("-o link show dev {interface}"))?;
        let index = shown.split(':').next().unwrap_or_default();
        Ok(index.trim().parse()?)
    }

    /// Does `work` on a thread in the pod's network.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.stage.pod.network().namespace().inside(work)
    }

    /// Does `work` on a thread in the network outside of the pod.
    pub fn outside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.stage.outside.network().namespace().inside(work)
    }

    /// The app listens there; what `prepare` sets stands before it does.
    pub fn listen_with(
        &self,
        address: SocketAddr,
        prepare: impl FnOnce(&Socket) -> io::Result<()> + Send,
    ) -> Result<TcpListener> {
        self.inside(|| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            prepare(&socket)?;
            listen(socket, address)
        })
    }

    /// The app listens on all addresses of this family, at the scenario's first port.
    pub fn listen(&self) -> Result<TcpListener> {
        self.listen_with((self.anywhere(), self.port(0)).into(), |_| Ok(()))
    }

    /// A client outside connects to the scenario's first port of the pod.
    pub fn connect(&self) -> io::Result<TcpStream> {
        self.connect_to((self.pod(), self.port(0)).into())
    }

    /// A client outside connects.
    pub fn connect_to(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let connected = self.outside(|| Ok(connect(to)));
        connected.map_err(io::Error::other)?
    }

    /// A process in the pod connects.
    pub fn connect_inside(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let connected = self.inside(|| Ok(connect(to)));
        connected.map_err(io::Error::other)?
    }

    /// A client outside and the app's end of its connection.
    pub fn pair(&self, app: &TcpListener) -> Result<(TcpStream, TcpStream)> {
        let client = self.connect()?;
        Ok((client, accept(app)?))
    }
}

/// Listens with this socket, which may be of any protocol that accepts connections.
pub fn listen(socket: Socket, address: SocketAddr) -> Result<TcpListener> {
    socket.set_reuse_address(true)?;
    // An accept that waits in vain ends, too.
    if socket.read_timeout()?.is_none() {
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    patient(&stream)?;
    Ok(stream)
}

/// The app accepts the next connection.
///
/// # Errors
///
/// None comes.
pub fn accept(app: &TcpListener) -> Result<TcpStream> {
    let (stream, _) = app.accept()?;
    patient(&stream)?;
    Ok(stream)
}

/// Whatever this side waits for ends after [`PATIENCE`].
pub fn patient(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))
}
