//! Connections that do not pass the relay, as far as their sockets tell: all of the app's in a pod
//! that is only observed, those that reach the app's own ports in a pod whose Services' ports the
//! relay has taken over, and those that came while no sidecar was there in a pod whose connections
//! are handed to the relay.
//!
//! Each becomes a line of the census, and is in flight by the rule for what the relay cannot read:
//! while the client spoke last, while bytes wait in a queue, and until the app was silent for a
//! while. Heartbeats (`beats`) are silence. Nobody on them is told to leave, and nothing on them is
//! cut.
//!
//! What cannot be seen: a connection that came and went between two looks; and which side spoke
//! last where both did within one tick of the kernel's clock (1 to 10 ms). Then the app did, so
//! that a request which comes that soon after an answer is waited for as long as a silent app is.

mod beats;

use super::kernel::{Socket, Sockets};
use crate::census::{Census, Connection, Peer, Way};
use crate::track::opaque::Side;
use crate::upstream::is_alias;
use beats::{Beats, Spoke};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a connection of kubelet's may be a probe: its default timeout. One that lasts longer is
/// no probe, or one that says as much about the app's load as a client.
const PROBE: Duration = Duration::from_secs(1);

/// What was seen so far.
#[derive(Debug)]
pub(crate) struct Observer {
    census: Arc<Census>,
    way: Way,
    /// Ports of ours, and those that the policy excludes.
    others: BTreeSet<u16>,
    /// Ports that somebody has listened on: an app that shuts down may close its port first.
    listening: BTreeSet<u16>,
    known: HashMap<u64, Known>,
    looks: u64,
    looked: Option<Instant>,
}

/// What the census waits by, and whom it does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long after its last word the app must have been silent.
    pub(crate) patience: Duration,
    /// The address that kubelet calls from, once it has.
    pub(crate) kubelet: Option<IpAddr>,
}

/// A connection that is there.
#[derive(Debug)]
struct Known {
    line: Connection,
    first_seen: Instant,
    /// The last look that saw it.
    look: u64,
    heard: u32,
    beats: Beats,
    /// The client said something that is not counted as work yet.
    new_work: bool,
    /// Since when somebody waits.
    waiting: Option<Instant>,
}

// === impl Observer ===

impl Observer {
    /// Counts in `census`, as connections of this way. Connections to the ports `others` are not
    /// the app's.
    pub(crate) fn new(census: Arc<Census>, way: Way, others: BTreeSet<u16>) -> Observer {
        Observer {
            census,
            way,
            others,
            listening: BTreeSet::new(),
            known: HashMap::new(),
            looks: 0,
            looked: None,
        }
    }

    /// Connections to this port are not the app's any more.
    pub(crate) fn leave_out(&mut self, port: u16) {
        self.others.insert(port);
    }

    /// Takes note of what is there `now`.
    pub(crate) fn look(&mut self, sockets: &Sockets, rules: Rules, now: Instant) {
        self.listening.extend(&sockets.listening);
        self.looks += 1;
        // What was said before anybody looked is not new.
        let before = self.looked.replace(now).unwrap_or(now);
        let relayed = self.census.sockets();
        for socket in &sockets.connected {
            if !self.is_inbound(socket)
                || relayed.contains(&socket.id)
                || self.is_on_its_way(socket)
            {
                continue;
            }
            let known = self.known.entry(socket.id).or_insert_with(|| Known {
                line: self.census.connect(self.way, peer(socket, now)),
                first_seen: now,
                look: 0,
                heard: if ago(socket.heard_ago, now) > Some(before) {
                    0
                } else {
                    socket.heard
                },
                beats: Beats::default(),
                new_work: false,
                waiting: None,
            });
            known.look = self.looks;
            known.follow(socket, rules, now);
        }
        let looks = self.looks;
        self.known.retain(|_, known| {
            let is_there = known.look == looks;
            if !is_there {
                known.end();
            }
            is_there
        });
    }

    /// Whether a client outside of the pod has connected to the app. The relay's own connections to
    /// the app go to an alias or have the same address on both sides, as those between the pod's
    /// containers have.
    fn is_inbound(&self, socket: &Socket) -> bool {
        let port = socket.local.port();
        self.listening.contains(&port)
            && !self.others.contains(&port)
            && !socket.remote.ip().is_loopback()
            && socket.remote.ip() != socket.local.ip()
            && !is_alias(socket.local.ip())
    }

    /// Whether it is too early, or too late, to tell if the relay or the app has this socket: it
    /// waits to be accepted, or the relay has closed it.
    fn is_on_its_way(&self, socket: &Socket) -> bool {
        self.way == Way::Bypassing && !socket.owned && !self.known.contains_key(&socket.id)
    }
}

// === impl Known ===

impl Known {
    fn follow(&mut self, socket: &Socket, rules: Rules, now: Instant) {
        let (mut heard, mut said) = (ago(socket.heard_ago, now), ago(socket.said_ago, now));
        let spoke = Spoke {
            client: heard,
            app: said,
        };
        let calm = self.beats.look(socket, spoke, now);
        let calm = calm.filter(|_| !socket.closed);
        self.new_work |= socket.heard != self.heard && calm.is_none();
        self.heard = socket.heard;
        let may_be_probe = rules.kubelet == Some(socket.remote.ip())
            && now.saturating_duration_since(self.first_seen) < PROBE;
        if self.new_work && !may_be_probe {
            self.new_work = false;
            self.line.work_came(now);
        }
        let before = self.waiting;
        let waits = match calm {
            Some((Some(Side::Client), since)) => {
                (heard, said) = (Some(since), None);
                true
            }
            Some((_, since)) => {
                said = Some(since);
                false
            }
            None => waits(socket),
        };
        // The app has spoken since, and now it is the client's word that waits: another request.
        let answered = before.is_some_and(|since| !waits || (said > Some(since) && heard > said));
        if answered {
            self.line.one_finished();
        }
        if answered || !waits {
            let idle_at = said.filter(|_| heard.is_some() && !socket.closed);
            let idle_at = idle_at.map(|at| at + rules.patience);
            self.line.app_spoke(said.unwrap_or(now), idle_at);
        }
        self.waiting = waits.then(|| {
            let since = before.filter(|_| !answered).or(heard).unwrap_or(now);
            self.line.bytes_wait(since);
            since
        });
        self.line.has_passed(socket.received, socket.sent);
        self.line.buffered(socket.unacknowledged > 0);
    }

    /// The connection is gone; how, nobody can tell.
    fn end(&self) {
        if self.waiting.is_some() {
            self.line.ended_unseen();
        }
    }
}

fn peer(socket: &Socket, now: Instant) -> Peer {
    Peer {
        client: socket.remote,
        port: socket.local.port(),
        socket: socket.id,
        since: now,
    }
}

/// Whether somebody waits on this connection: the client for the app, or bytes for one of them.
fn waits(socket: &Socket) -> bool {
    let client_spoke_last = match (socket.heard_ago, socket.said_ago) {
        (Some(heard), Some(said)) => heard < said,
        (heard, None) => heard.is_some(),
        (None, Some(_)) => false,
    };
    socket.unacknowledged > 0 || (!socket.closed && (socket.unread > 0 || client_spoke_last))
}

fn ago(ago: Option<Duration>, now: Instant) -> Option<Instant> {
    // A time before this machine's start is none.
    now.checked_sub(ago?)
}

#[cfg(test)]
mod tests;
