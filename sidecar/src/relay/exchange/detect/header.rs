//! The header of the PROXY protocol, which a load balancer may put before everything else: it goes
//! on to the app, and what follows it is looked at as if it had come first.

use crate::relay::exchange::{At, Exchange, Kind, Preface, ToApp};
use crate::track::Odd;
use crate::track::proxy_protocol::{Header, IsHeader};
use crate::track::tls::Hello;
use std::borrow::Cow;
use std::time::Instant;

/// What was seen of such a header. As long as it may be something else, everything is looked at as
/// that, too.
#[derive(Default)]
pub(in crate::relay::exchange) struct MayBeHeader {
    header: Header,
    /// Why what the client has said is nothing else, if it is not.
    pub(in crate::relay::exchange) doubt: Option<Odd>,
}

impl Exchange {
    /// Bytes of the client where these may belong to a header: what goes to the app, unless they
    /// are to be looked at as those of another protocol.
    pub(in crate::relay::exchange) fn step_over_header<'a>(
        &mut self,
        input: &'a [u8],
        now: Instant,
    ) -> Option<ToApp<'a>> {
        let may_be = self.header.as_mut()?;
        let Kind::Http1(http1) = &mut self.kind else {
            self.header = None;
            return None;
        };
        let whole = ToApp {
            bytes: Cow::Borrowed(input),
            taken: input.len(),
        };
        match may_be.header.advance(input) {
            IsHeader::Perhaps if may_be.doubt.is_none() => None,
            IsHeader::Perhaps | IsHeader::Yes => {
                http1.wait_for_more(At::new(now, None, &self.line));
                Some(whole)
            }
            IsHeader::No => {
                let doubt = may_be.doubt;
                self.header = None;
                let odd = doubt?;
                self.turn_opaque(odd, now);
                None
            }
            IsHeader::Broken => {
                self.header = None;
                self.turn_opaque(Odd::Malformed, now);
                None
            }
            IsHeader::Ends(used) => {
                *http1 = http1.behind_header(may_be.header.seen());
                self.line.header_ended();
                self.header = None;
                self.preface = Some(Preface::default());
                self.hello = Some(Hello::default());
                Some(self.behind(whole, used, now))
            }
        }
    }

    /// What becomes of the bytes after the first `used` ones, with these before it.
    fn behind<'a>(&mut self, whole: ToApp<'a>, used: usize, now: Instant) -> ToApp<'a> {
        let Cow::Borrowed(input) = whole.bytes else {
            return whole;
        };
        let (before, rest) = input.split_at(used);
        if rest.is_empty() {
            return whole;
        }
        let behind = self.client_sent(rest, now);
        ToApp {
            bytes: [before, &behind.bytes].concat().into(),
            taken: used + behind.taken,
        }
    }
}
