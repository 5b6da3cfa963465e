//! What a connection's bytes mean: which of them go on, what is in flight, and when a goodbye is
//! said. No IO: it is fed what was read and says what to write.

mod action;
mod at;
mod detect;
mod edit;
pub(super) mod http1;
pub(super) mod http2;
mod leaving;

pub(super) mod websocket;

use crate::census::Connection;
use crate::stance::{Conduct, Stance};
use crate::track::Odd;
use crate::track::opaque::{Opaque, Side};
use crate::track::tls::Hello;
pub(crate) use action::{AppClosed, AppEnd, Deadline, NoApp, ToApp, ToClient};
use at::At;
use detect::{MayBeHeader, Preface};
use ebb_api::connections::{ConnectionSettings, EventStreams, WebSockets};
use edit::{Next, Passed};
use http1::Http1;
use http2::Http2;
use std::borrow::Cow;
use std::time::{Duration, Instant};
use websocket::WebSocket;

/// Both directions of one connection.
pub(crate) struct Exchange {
    kind: Kind,
    /// Nothing that contradicts a header of the PROXY protocol was seen so far, nor that ends one.
    header: Option<MayBeHeader>,
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
            header: Some(MayBeHeader::default()),
            preface: Some(Preface::default()),
            hello: Some(Hello::default()),
            line,
            leaving: None,
            released: Vec::new(),
            settings: ConnectionSettings::default(),
            doubt: None,
        }
    }

    /// The connection's place among all, by which goodbyes are spread.
    #[cfg(test)]
    pub(crate) fn place(&self) -> u32 {
        self.line.place()
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
            Kind::WebSocket(socket) => socket.set_code(self.settings.web_socket_code),
            Kind::Opaque(opaque, _) if silence_changed => {
                opaque.set_patience(silence(&self.settings));
                self.line.patience_changed(opaque.idle_at());
            }
            _ => {}
        }
    }

    /// From when on this connection's goodbye is said; `None` while nobody is told to leave, and
    /// for a WebSocket if the policy waits for those.
    fn goodbyes_from(&self) -> Option<Instant> {
        match &self.kind {
            Kind::WebSocket(_) if self.settings.web_sockets == WebSockets::Wait => None,
            _ => self.leaving,
        }
    }

    /// True while no further request may go to the app: what the client says waits.
    pub(crate) fn is_gated(&self) -> bool {
        matches!(&self.kind, Kind::Http1(http1) if http1.is_gated())
    }

    /// Bytes from the client.
    pub(crate) fn client_sent<'a>(&mut self, input: &'a [u8], now: Instant) -> ToApp<'a> {
        let passed = self.follow_client(input, now);
        self.line.received(passed.taken);
        passed
    }

    fn follow_client<'a>(&mut self, input: &'a [u8], now: Instant) -> ToApp<'a> {
        if let Some(passed) = self.step_over_header(input, now) {
            return passed;
        }
        let is_tls = self.detect_tls(input);
        let preface_length = self.detect_http2(input, now);
        let mut bytes = Cow::Borrowed(input);
        let at = At::new(now, self.goodbyes_from(), &self.line);
        match &mut self.kind {
            Kind::Http1(http1) => match http1.client_sent(input, at) {
                Ok(taken) => {
                    let bytes = Cow::Borrowed(&input[..taken]);
                    return ToApp { bytes, taken };
                }
                Err(odd) => match (&mut self.header, &mut self.preface) {
                    (Some(MayBeHeader { doubt, .. }), _) | (None, Some(Preface { doubt, .. })) => {
                        *doubt = Some(odd);
                        http1.wait_for_more(at);
                    }
                    (None, None) => self.turn_opaque(odd, now),
                },
            },
            Kind::Http2(http2) => {
                let passed = http2.client_sent(input, preface_length, at);
                bytes = passed.bytes;
                if let Next::Opaque(odd) = passed.next {
                    self.turn_opaque(odd, now);
                }
            }
            Kind::WebSocket(socket) => {
                if let Err(odd) = socket.client_sent(input, at) {
                    self.turn_opaque(odd, now);
                }
            }
            Kind::Opaque(..) => {}
        }
        if let Kind::Opaque(opaque, _) = &mut self.kind {
            opaque.spoke(Side::Client, input.len(), now);
            match opaque.idle_at() {
                None => self.line.client_spoke(now),
                Some(idle_at) => self.line.client_spoke_alone(now, idle_at),
            }
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

    /// Bytes of the client that were held back, and go to the app after all: what they were held
    /// for will not come.
    pub(crate) fn released(&mut self, client_said_all: bool) -> Vec<u8> {
        match &mut self.kind {
            Kind::Http2(http2) if client_said_all => http2.release(),
            _ => std::mem::take(&mut self.released),
        }
    }

    /// Whether bytes for the app wait, because it does not take them.
    pub(crate) fn app_is_full(&self, full: bool) {
        self.line.app_is_full(full);
    }

    /// Bytes from the app.
    pub(crate) fn app_sent<'a>(&mut self, input: &'a [u8], now: Instant) -> ToClient<'a> {
        self.line.sent(input.len());
        self.follow_app(input, now)
    }

    fn follow_app<'a>(&mut self, input: &'a [u8], now: Instant) -> ToClient<'a> {
        self.hello = None;
        let at = At::new(now, self.goodbyes_from(), &self.line);
        if let Some(preface) = &mut self.preface {
            if let Some(passed) = preface.app_sent(input, at) {
                return ToClient {
                    bytes: passed.bytes,
                    last: false,
                };
            }
            self.preface = None;
        }
        let passed = match &mut self.kind {
            Kind::Http1(http1) => http1.app_sent(input, at),
            Kind::Http2(http2) => http2.app_sent(input, at),
            Kind::WebSocket(socket) => socket.app_sent(input, at),
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
                    let behind = self.follow_app(rest, now);
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
            opaque.spoke(Side::App, input.len(), now);
        }
        ToClient { bytes, last }
    }

    /// All that the app sent so far was handed to the client, or (`false`) waits for it.
    pub(crate) fn handed_over(&mut self, all: bool, now: Instant) {
        if let Kind::Opaque(opaque, _) = &mut self.kind
            && opaque.last() != Some(Side::Client)
        {
            opaque.handed_over(all, now);
            if all {
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

    /// The app's side has ended: nobody will answer what is still open. Who has broken it off is
    /// counted.
    pub(crate) fn app_closed(&mut self, how: AppClosed, now: Instant) -> AppEnd {
        if let Some(preface) = &mut self.preface {
            preface.app_closed = true;
        }
        let lost = match (&self.kind, how) {
            // What is opaque may end with a last word of the client that needs no answer.
            (Kind::Opaque(..), AppClosed::AfterClient) => 0,
            (Kind::Opaque(..), AppClosed::Reset) => u64::from(self.line.is_in_flight(now)),
            _ => self.awaited(),
        };
        match how {
            AppClosed::AfterClient => self.line.given_up(lost),
            AppClosed::First | AppClosed::Reset => self.line.broken_off(lost),
        }
        let at = At::new(now, self.goodbyes_from(), &self.line);
        match &mut self.kind {
            Kind::WebSocket(_) | Kind::Opaque(..) => AppEnd::Pass,
            Kind::Http2(http2) => {
                http2.app_closed(at);
                AppEnd::Pass
            }
            Kind::Http1(http1) => http1.app_closed(at),
        }
    }

    /// The client has gone: what it still waited for it has given up.
    pub(crate) fn client_left(&self) {
        self.line.given_up(self.awaited());
    }

    /// For how much the client waits.
    fn awaited(&self) -> u64 {
        match &self.kind {
            // Settled, by a cut for example.
            _ if !self.line.is_awaited() => 0,
            Kind::Http1(http1) => http1.awaited(),
            Kind::Http2(http2) => http2.awaited(),
            Kind::WebSocket(socket) => socket.is_open().into(),
            Kind::Opaque(..) => 1,
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
}

/// What an opaque connection is waited for after the app spoke last.
fn silence(settings: &ConnectionSettings) -> Duration {
    Duration::from_secs(settings.idle_seconds.into())
}
