//! What a connection's bytes mean: which of them go on, what is in flight, and when a goodbye is
//! said. No IO: it is fed what was read and says what to write.

mod action;
mod detect;
mod edit;
pub(super) mod http1;
pub(super) mod http2;

pub(super) mod websocket;

use crate::census::{Connection, HEAD_PATIENCE};
use crate::stance::{Conduct, Stance};
use crate::track::Odd;
use crate::track::opaque::{Opaque, Side};
use crate::track::tls::Hello;
pub(crate) use action::{AppEnd, Deadline, NoApp, ToApp, ToClient};
use detect::Preface;
use ebb_api::connections::{AtTimeout, ConnectionSettings, EventStreams, WebSockets};
use edit::{Next, Passed};
use http1::Http1;
use http2::{Goodbye, Http2};
use std::borrow::Cow;
use std::time::{Duration, Instant};
use websocket::WebSocket;

/// Both directions of one connection.
pub(crate) struct Exchange {
    kind: Kind,
    /// Nothing that contradicts HTTP/2 was seen so far either, nor that proves it.
    preface: Option<Preface>,
    /// Nor anything that contradicts TLS.
    hello: Option<Hello>,
    line: Connection,
    /// From when on the connection's goodbye is said. HTTP/1 says it with the next answer, whenever
    /// that is: its own requests spread it.
    leaving: Option<Instant>,
    /// Bytes of the client that were held back, and have to go to the app: see
    /// [`Exchange::released`].
    released: Vec<u8>,
    settings: ConnectionSettings,
    /// Why the connection has just become opaque: see [`Exchange::take_doubt`].
    doubt: Option<Odd>,
}

enum Kind {
    /// HTTP/1, or nothing that contradicts it so far.
    Http1(Http1),
    /// Boxed, so that all the others stay small.
    Http2(Box<Http2>),
    WebSocket(WebSocket),
    /// With bytes of the app that were held back, and have to go to the client first.
    Opaque(Opaque, Vec<u8>),
}

impl Exchange {
    pub(crate) fn new(line: Connection) -> Exchange {
        Exchange {
            kind: Kind::Http1(Http1::default()),
            preface: Some(Preface::default()),
            hello: Some(Hello::default()),
            line,
            leaving: None,
            released: Vec::new(),
            settings: ConnectionSettings::default(),
            doubt: None,
        }
    }

    /// The connection's line in the census.
    pub(crate) fn line(&self) -> &Connection {
        &self.line
    }

    /// Whether goodbyes are to be said from now on, when, and by which settings.
    pub(crate) fn take_up(&mut self, conduct: &Conduct, now: Instant) {
        let leaving = conduct.stance >= Stance::Parting;
        self.leaving = leaving.then(|| match (conduct.pace, self.leaving) {
            (Some(pace), _) => pace.turn(self.line.place()),
            (None, Some(turn)) => turn.min(now),
            (None, None) => now,
        });
        let silence_changed = self.settings.idle_seconds != conduct.connections.idle_seconds;
        self.settings = conduct.connections;
        match &mut self.kind {
            Kind::Http1(http1) => {
                let ends = self.settings.event_streams == EventStreams::End;
                http1.end_streams(self.leaving.filter(|_| ends));
                if !leaving {
                    http1.stay();
                }
            }
            Kind::Opaque(opaque, _) if silence_changed => {
                opaque.set_patience(silence(&self.settings));
                self.line.patience_changed(opaque.idle_at());
            }
            _ => {}
        }
    }

    /// True while no further request may go to the app: what the client says waits.
    pub(crate) fn is_gated(&self) -> bool {
        matches!(&self.kind, Kind::Http1(http1) if http1.is_gated())
    }

    /// Bytes from the client.
    pub(crate) fn client_sent<'a>(&mut self, input: &'a [u8], now: Instant) -> ToApp<'a> {
        let is_tls = self.detect_tls(input);
        let preface_length = self.detect_http2(input, now);
        let mut bytes = Cow::Borrowed(input);
        match &mut self.kind {
            Kind::Http1(http1) => match http1.client_sent(input, &self.line, now) {
                Ok(taken) => {
                    let bytes = Cow::Borrowed(&input[..taken]);
                    return ToApp { bytes, taken };
                }
                Err(odd) => match &mut self.preface {
                    Some(preface) => {
                        preface.doubt = Some(odd);
                        http1.wait_for_preface(&self.line, now);
                    }
                    None => self.turn_opaque(odd, now),
                },
            },
            Kind::Http2(http2) => {
                let passed = http2.client_sent(input, preface_length, &self.line, now);
                bytes = passed.bytes;
                if let Next::Opaque(odd) = passed.next {
                    self.turn_opaque(odd, now);
                }
            }
            Kind::WebSocket(socket) => {
                let leaving = sockets(self.leaving, &self.settings);
                if let Err(odd) = socket.client_sent(input, leaving, &self.line, now) {
                    self.turn_opaque(odd, now);
                }
            }
            Kind::Opaque(..) => {}
        }
        if let Kind::Opaque(opaque, _) = &mut self.kind {
            opaque.spoke(Side::Client, now);
            self.line.client_spoke(now);
            if is_tls {
                self.line.turned_tls();
            }
        }
        ToApp {
            bytes,
            taken: input.len(),
        }
    }

    /// Why the connection has become opaque, once when it has.
    pub(crate) fn take_doubt(&mut self) -> Option<Odd> {
        self.doubt.take()
    }

    /// Bytes of the client that were held back, and go to the app after all: what they were held for
    /// will not come.
    pub(crate) fn released(&mut self, client_said_all: bool) -> Vec<u8> {
        match &mut self.kind {
            Kind::Http2(http2) if client_said_all => http2.release(),
            _ => std::mem::take(&mut self.released),
        }
    }

    /// Bytes from the app.
    pub(crate) fn app_sent<'a>(&mut self, input: &'a [u8], now: Instant) -> ToClient<'a> {
        self.hello = None;
        if let Some(preface) = &mut self.preface {
            if let Some(passed) = preface.app_sent(input, &self.line, now) {
                return ToClient {
                    bytes: passed.bytes,
                    last: false,
                };
            }
            self.preface = None;
        }
        let passed = match &mut self.kind {
            Kind::Http1(http1) => http1.app_sent(input, self.leaving.is_some(), &self.line, now),
            Kind::Http2(http2) => http2.app_sent(input, self.leaving, &self.line, now),
            Kind::WebSocket(socket) => {
                let leaving = sockets(self.leaving, &self.settings);
                socket.app_sent(input, leaving, &self.line, now)
            }
            Kind::Opaque(..) => Passed {
                bytes: Cow::Borrowed(input),
                last: false,
                next: Next::Same,
            },
        };
        let Passed { bytes, last, next } = passed;
        match next {
            Next::Same => {}
            Next::Opaque(odd) => self.turn_opaque(odd, now),
            Next::Upgraded(upgrade, used) => {
                self.upgrade(upgrade, now);
                let rest = &input[used..];
                if !rest.is_empty() {
                    let behind = self.app_sent(rest, now);
                    let mut all = bytes.into_owned();
                    all.extend_from_slice(&behind.bytes);
                    return ToClient {
                        bytes: all.into(),
                        last: behind.last,
                    };
                }
            }
        }
        if let Kind::Opaque(opaque, _) = &mut self.kind {
            opaque.spoke(Side::App, now);
        }
        ToClient { bytes, last }
    }

    /// What the relay has to say to the client at this moment, behind what the app has said so far;
    /// or the end of that, where it was held back for a goodbye that can't be said.
    pub(crate) fn goodbye(&mut self, now: Instant) -> Option<ToClient<'static>> {
        match &mut self.kind {
            Kind::Http2(http2) => {
                let Goodbye { bytes, last } = http2.goodbye(self.leaving, &self.line, now)?;
                Some(ToClient { bytes, last })
            }
            Kind::WebSocket(socket) => {
                let leaving = sockets(self.leaving, &self.settings);
                let (bytes, last) = socket.goodbye(leaving, &self.line, now)?;
                let bytes = Cow::Borrowed(bytes);
                Some(ToClient { bytes, last })
            }
            Kind::Opaque(_, owed) if !owed.is_empty() => Some(ToClient {
                bytes: std::mem::take(owed).into(),
                last: false,
            }),
            Kind::Http1(http1) => {
                let (bytes, last) = http1.goodbye(&self.line, now)?;
                let bytes = Cow::Owned(bytes);
                Some(ToClient { bytes, last })
            }
            Kind::Opaque(..) => None,
        }
    }

    /// True while a goodbye that can't be taken back waits for its answer.
    pub(crate) fn is_parting(&self) -> bool {
        matches!(&self.kind, Kind::WebSocket(socket) if socket.has_parted())
    }

    /// True if the client has its last answer, and all that it said belongs to what was answered.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.kind, Kind::Http1(http1) if http1.is_over())
    }

    /// All that the app sent so far was handed to the client, or (`false`) waits for it.
    pub(crate) fn handed_over(&mut self, all: bool, now: Instant) {
        if let Kind::Opaque(opaque, _) = &mut self.kind
            && opaque.last() == Some(Side::App)
        {
            if all {
                opaque.moved(now);
                self.line.app_spoke(now, opaque.idle_at());
            } else {
                self.line.bytes_wait(now);
            }
        }
        self.line.buffered(!all);
    }

    /// The app sent its FIN: an answer that only this delimits is complete.
    pub(crate) fn app_said_all(&mut self) {
        if let Kind::Http1(http1) = &mut self.kind {
            http1.app_said_all(&self.line);
        }
    }

    /// The app closed or reset its side: nobody will answer what is still open.
    pub(crate) fn app_closed(&mut self, now: Instant) -> AppEnd {
        if let Some(preface) = &mut self.preface {
            preface.app_closed = true;
        }
        match &mut self.kind {
            Kind::WebSocket(_) | Kind::Opaque(..) => {
                self.line.settled();
                AppEnd::Pass
            }
            Kind::Http2(http2) => {
                http2.app_closed(&self.line, now);
                AppEnd::Pass
            }
            Kind::Http1(http1) => http1.app_closed(self.leaving.is_some(), &self.line),
        }
    }

    /// True if what the client says next is the beginning of a request.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(&self.kind, Kind::Http1(http1) if http1.is_between_requests())
    }

    /// Bytes from the client when the app has closed its side and the client was kept.
    pub(crate) fn sent_without_app(&mut self, input: &[u8]) -> NoApp {
        match &mut self.kind {
            Kind::Http2(_) | Kind::WebSocket(_) | Kind::Opaque(..) => NoApp::Close,
            Kind::Http1(http1) => http1.sent_without_app(input, &self.line),
        }
    }

    /// The app was dialed again for a client that was kept, and takes no connection any more.
    pub(crate) fn app_unreachable(&self) -> NoApp {
        match &self.kind {
            Kind::Http2(_) | Kind::WebSocket(_) | Kind::Opaque(..) => NoApp::Close,
            Kind::Http1(http1) => http1.app_unreachable(&self.line),
        }
    }

    /// What to do at the deadline, with so many bytes taken for the app and not yet written to it.
    pub(crate) fn deadline(&self, unwritten: usize) -> Deadline {
        match &self.kind {
            Kind::Opaque(..) => match self.settings.at_timeout {
                AtTimeout::Close => Deadline::Close,
                AtTimeout::Reset => Deadline::Reset,
                AtTimeout::Handover => Deadline::Handover,
            },
            Kind::Http1(http1) => http1.deadline(unwritten as u64),
            Kind::Http2(http2) => http2.deadline(unwritten as u64),
            Kind::WebSocket(socket) => socket.deadline(),
        }
    }

    /// True if nothing is in flight at `now`.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        match &self.kind {
            Kind::Opaque(opaque, _) => opaque.is_idle(now),
            Kind::Http1(http1) => http1.is_idle() && is_patient_no_more(http1.head_began(), now),
            Kind::Http2(http2) => http2.is_idle() && is_patient_no_more(http2.head_began(), now),
            Kind::WebSocket(_) => false,
        }
    }

    /// When time alone changes something behind `now`: the connection becomes idle, or its goodbye
    /// is due.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let patient = |head_began: Option<Instant>| head_began.map(|began| began + HEAD_PATIENCE);
        let (idle_at, goodbye_at) = match &self.kind {
            Kind::Opaque(opaque, _) => (opaque.idle_at(), self.half_close_at(opaque)),
            Kind::Http1(http1) => (patient(http1.head_began()), http1.goodbye_at()),
            Kind::Http2(http2) => (patient(http2.head_began()), http2.goodbye_at(self.leaving)),
            Kind::WebSocket(socket) => {
                let leaving = sockets(self.leaving, &self.settings);
                (None, socket.goodbye_at(leaving))
            }
        };
        // A moment that has passed must not hide one to come.
        [idle_at, goodbye_at]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// True if the app is to be half-closed, and then the client closed: an idle opaque connection
    /// that has carried something, whose app may say its own goodbye; a WebSocket on which all is
    /// said.
    pub(crate) fn wants_half_close(&self, now: Instant) -> bool {
        match &self.kind {
            Kind::Opaque(opaque, _) => self.half_close_at(opaque).is_some_and(|at| at <= now),
            Kind::WebSocket(socket) => socket.is_answered(),
            Kind::Http1(_) | Kind::Http2(_) => false,
        }
    }

    /// When the app is to be half-closed, if nothing moves before.
    fn half_close_at(&self, opaque: &Opaque) -> Option<Instant> {
        Some(opaque.idle_at()?.max(self.leaving?))
    }

    /// Both sides have closed.
    pub(crate) fn finished(&self) {
        match &self.kind {
            Kind::WebSocket(socket) if socket.is_answered() => self.line.settled(),
            Kind::WebSocket(_) | Kind::Opaque(..) => self.line.opaque_finished(),
            Kind::Http1(_) | Kind::Http2(_) => self.line.settled(),
        }
    }
}

/// From when on a WebSocket gets its goodbye.
fn sockets(leaving: Option<Instant>, settings: &ConnectionSettings) -> Option<Instant> {
    leaving.filter(|_| settings.web_sockets == WebSockets::Goodbye)
}

/// What an opaque connection is waited for after the app spoke last.
fn silence(settings: &ConnectionSettings) -> Duration {
    Duration::from_secs(settings.idle_seconds.into())
}

/// True unless a head is under way that began a moment ago.
fn is_patient_no_more(head_began: Option<Instant>, now: Instant) -> bool {
    head_began.is_none_or(|began| began + HEAD_PATIENCE <= now)
}
