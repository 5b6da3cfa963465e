//! Heartbeats on a connection of which only the sockets are looked at now and then.
//!
//! The relay's tracker knows them by what was said between two pauses. Here that is how much more
//! the kernel has counted since the last look, which works as long as no two exchanges fall between
//! two looks: so they are known while the pod leaves, when it is looked at often. A drain learns of
//! them anew.

use crate::capture::kernel::Socket;
use crate::track::heartbeat::{Before, Heartbeats, PAUSE};
use crate::track::opaque::Side;
use std::time::Instant;

/// What one connection said from look to look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beats {
    heartbeats: Heartbeats,
    last: Option<Look>,
    /// The last thing that was said is a heartbeat: what was so before the first of them.
    calm: Option<Before>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    /// How much the client and the app had said in all.
    said: [u64; 2],
    /// Who had spoken last, and when, without heartbeats.
    state: Before,
}

/// When the client and the app said something for the last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoke {
    pub(super) client: Option<Instant>,
    pub(super) app: Option<Instant>,
}

// === impl Beats ===

impl Beats {
    /// Takes note of a look. If the last thing that was said is a heartbeat: who had spoken last
    /// before the first of them, and when.
    pub(super) fn look(&mut self, socket: &Socket, spoke: Spoke, now: Instant) -> Option<Before> {
        // What the app says is said, whether the client has taken it or not: a large answer that
        // waits must not look like silence.
        let app = socket.sent + u64::from(socket.unacknowledged);
        let said = [socket.received, app];
        let Some(before) = self.last.filter(|last| last.at + PAUSE > now) else {
            *self = Beats {
                last: Some(Look {
                    at: now,
                    said,
                    state: spoke.last(now),
                }),
                ..Beats::default()
            };
            return None;
        };
        let [client, app] = [0, 1].map(|side| said[side].saturating_sub(before.said[side]));
        let mut news = [(Side::Client, client), (Side::App, app)];
        if spoke.client > spoke.app {
            news.reverse();
        }
        let mut state = before.state;
        for (side, length) in news.into_iter().filter(|(_, length)| *length > 0) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            self.calm = self.heartbeats.spoke((side, length), state, now);
            state = self.calm.unwrap_or((Some(side), spoke.of(side, now)));
        }
        let at_least = |side: usize| said[side].max(before.said[side]);
        self.last = Some(Look {
            at: now,
            said: [at_least(0), at_least(1)],
            state,
        });
        self.calm
    }
}

// === impl Spoke ===

impl Spoke {
    fn last(self, now: Instant) -> Before {
        let side = match (self.client, self.app) {
            (None, None) => None,
            (client, app) if client > app => Some(Side::Client),
            _ => Some(Side::App),
        };
        (side, side.map_or(now, |side| self.of(side, now)))
    }

    fn of(self, side: Side, now: Instant) -> Instant {
        let spoke = match side {
            Side::Client => self.client,
            Side::App => self.app,
        };
        spoke.unwrap_or(now)
    }
}
