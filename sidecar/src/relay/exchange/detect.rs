//! Which protocol a connection turns out to carry, or changes to.

mod header;
mod preface;

use super::http2::Http2;
use super::websocket::WebSocket;
use super::{At, Exchange, Kind, silence};
use crate::track::Odd;
use crate::track::http1::Upgrade;
use crate::track::opaque::Opaque;
use crate::track::tls::IsTls;
pub(super) use header::MayBeHeader;
use preface::IsHttp2;
pub(super) use preface::Preface;
use std::time::Instant;

impl Exchange {
    /// Whether the connection is HTTP/2 becomes known in its first bytes: how many of these are the
    /// preface.
    pub(super) fn detect_http2(&mut self, input: &[u8], now: Instant) -> usize {
        let Some(mut preface) = self.preface.take() else {
            return 0;
        };
        match preface.client_sent(input) {
            IsHttp2::Perhaps => self.preface = Some(preface),
            IsHttp2::No => {
                if let Some(odd) = preface.is_neither() {
                    self.turn_opaque(odd, now);
                    if let Kind::Opaque(opaque, _) = &mut self.kind
                        && preface.app_has_spoken()
                    {
                        opaque.expect_answers();
                    }
                }
            }
            IsHttp2::Yes(length) => {
                let at = At::new(now, None, &self.line);
                self.kind = Kind::Http2(preface.into_http2(at));
                self.line.turned_http2();
                return length;
            }
        }
        0
    }

    /// Whether the connection is TLS shows in its client's first bytes: true with the one that
    /// tells.
    pub(super) fn detect_tls(&mut self, input: &[u8]) -> bool {
        let Some(hello) = &mut self.hello else {
            return false;
        };
        let is_tls = hello.advance(input);
        if is_tls != IsTls::Perhaps {
            self.hello = None;
        }
        is_tls == IsTls::Yes
    }

    /// The connection has changed to another protocol.
    pub(super) fn upgrade(&mut self, upgrade: Upgrade, now: Instant) {
        let Kind::Http1(http1) = &self.kind else {
            return;
        };
        match upgrade {
            Upgrade::Http2 => {
                let began = http1.oldest_began().unwrap_or(now);
                self.kind = Kind::Http2(Box::new(Http2::upgraded(began)));
                self.line.turned_http2();
            }
            Upgrade::WebSocket => {
                self.kind = Kind::WebSocket(WebSocket::new(self.settings.web_socket_code, now));
                self.line.turned_websocket();
            }
            Upgrade::Other => self.turn_opaque(Odd::Upgrade, now),
        }
    }

    /// Nobody knows any more what the connection carries.
    pub(super) fn turn_opaque(&mut self, odd: Odd, now: Instant) {
        let mut opaque = Opaque::new(now, silence(&self.settings));
        let mut owed = Vec::new();
        // By any rules but unknown ones a request that has begun is answered.
        let mut answers = odd != Odd::NotHttp;
        let has_begun = match &mut self.kind {
            Kind::Http1(http1) => {
                owed = http1.release();
                answers |= http1.has_carried();
                http1.has_begun()
            }
            Kind::Http2(http2) => {
                self.released = http2.release();
                true
            }
            Kind::WebSocket(_) => true,
            Kind::Opaque(..) => return,
        };
        self.doubt = Some(odd);
        self.line.turned_opaque(odd);
        if answers {
            opaque.expect_answers();
        }
        if has_begun {
            opaque.client_had_spoken(now);
            self.line.client_spoke(now);
        }
        self.kind = Kind::Opaque(opaque, owed);
    }
}
