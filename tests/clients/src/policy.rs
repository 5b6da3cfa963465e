//! The policy in force in each pod, and how its drains have to end.
//!
//! Every default holds, but for TLS. Nobody outside of it can say goodbye there, so that a client
//! which keeps a busy connection stays until the timeout: these pods have a short one, and another
//! word each on what comes then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use ebb_api::connections::{AtTimeout, ConnectionSettings};
use ebb_api::phase::Outcome;
use ebb_api::report::{Drain, Protocol, Report};
use ebb_api::settings::Settings;
use ebb_netns::admin::Admin;

use super::client::Client;
use super::server::Server;

/// The timeout for TLS: longer than the 4 s for which a leaving pod accepts.
const TIMEOUT_SECONDS: u32 = 6;

/// The silence after which a connection of TLS is closed: far from the pauses of clients that keep
/// one busy (0.4 s, more on a computer that is busy, too) and of those that let it rest (3 s).
const IDLE_SECONDS: u32 = 2;

/// How long clients may take to come to a pod, on a computer that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// What Go's net/http says of a request for which it had chosen a connection when it read a GOAWAY
/// there, and which it had not begun: it closes the body, and then can't begin again. Errors of
/// requests that it has written are worded otherwise.
const NEVER_SENT: &str = "cannot rewind body after connection loss";

/// The policy for this server.
pub fn of(server: Server) -> Settings {
    let settings = Settings {
        policy: Some("clients".to_owned()),
        enabled: true,
        ..Settings::without_policy()
    };
    match server.at_timeout() {
        None => settings,
        Some(at_timeout) => Settings {
            timeout_seconds: TIMEOUT_SECONDS,
            connections: ConnectionSettings {
                idle_seconds: IDLE_SECONDS,
                at_timeout,
                ..ConnectionSettings::default()
            },
            ..settings
        },
    }
}

/// How many of these clients keep a connection of TLS busy at each server of TLS.
fn busy(clients: &[Client]) -> u64 {
    let busy = clients.iter().filter(|client| client.keeps_tls_busy());
    busy.count() as u64
}

/// Waits until the sidecar of a pod of TLS knows of these clients' connections that they are TLS.
pub fn recognized(server: Server, pod: IpAddr, clients: &[Client]) -> Result<()> {
    if server.at_timeout().is_none() {
        return Ok(());
    }
    let counted = |report: &Report| {
        let of_tls = report.now.connections.get(&Protocol::Tls).copied();
        of_tls.unwrap_or(0) >= busy(clients)
    };
    let what = "the clients' connections to be counted as TLS";
    Admin::of(pod).until(what, PATIENCE, counted).map(drop)
}

/// Whether a drain of this server ended as it has to.
///
/// Only clients that keep TLS busy are there at the timeout. Then they are handed over to the app,
/// and none is cut, even later; or they are cut, and counted as TLS.
pub fn judge(server: Server, clients: &[Client], drain: &Drain) -> Result<()> {
    let busy = busy(clients);
    let at_timeout = server.at_timeout().filter(|_| busy > 0);
    let (outcome, handed_over, cut) = match at_timeout {
        None => (Outcome::Drained, 0..=0, 0..=0),
        Some(AtTimeout::Handover) => (Outcome::TimedOut, 1..=busy, 0..=0),
        Some(AtTimeout::Close | AtTimeout::Reset) => (Outcome::TimedOut, 0..=0, 1..=busy),
    };
    let cut_of_tls = drain.cut.get(&Protocol::Tls).copied().unwrap_or(0);
    ensure!(
        drain.outcome == outcome
            && handed_over.contains(&drain.handed_over)
            && cut.contains(&cut_of_tls)
            && drain.cut_in_all() == cut_of_tls,
        "its drain should have been {outcome} with {handed_over:?} handed over and {cut:?} of TLS cut: \
         {drain:?}"
    );
    Ok(())
}

/// How many of these errors, counted by their texts, a client may see at a server of which `left`
/// pods left.
///
/// A busy connection of TLS that is cut takes the request with it that is open; a connection that
/// is closed while it rests takes one that crosses the close, which is rare: 1 ms or so in each
/// pause.
///
/// Go's client may read a GOAWAY, whoever says it, in the microseconds between its choice of the
/// connection and the request's first byte.
pub fn errors_allowed(
    client: Client,
    server: Server,
    left: u64,
    errors: &BTreeMap<String, u64>,
) -> u64 {
    let rare = 1 + left / 100;
    match server.at_timeout() {
        Some(AtTimeout::Close | AtTimeout::Reset) if client.keeps_tls_busy() => left,
        Some(_) if client.rests() => rare,
        None if client == Client::GoHttp2 => {
            let never_sent = errors
                .iter()
                .filter(|(error, _)| error.ends_with(NEVER_SENT));
            never_sent.map(|(_, number)| number).sum::<u64>().min(rare)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request that Go never sent is let pass once in a hundred drains, and no other error is,
    /// nor another client's.
    #[test]
    fn what_go_never_sent_is_known() {
        let allowed = |client, left, errors: &[(&str, u64)]| {
            let owned = errors
                .iter()
                .map(|(text, number)| ((*text).to_owned(), *number));
            errors_allowed(client, Server::Go, left, &owned.collect())
        };
        let never_sent = format!("net/http: {NEVER_SENT}");
        let of_go = |left, number| allowed(Client::GoHttp2, left, &[(&never_sent, number)]);
        assert_eq!([of_go(4, 0), of_go(4, 1), of_go(4, 2)], [0, 1, 1]);
        assert_eq!([of_go(100, 2), of_go(100, 3)], [2, 2]);
        let lost = "http2: Transport: cannot retry err after Request.Body was written";
        assert_eq!(allowed(Client::GoHttp2, 4, &[(lost, 1)]), 0);
        assert_eq!(allowed(Client::OkhttpHttp2, 4, &[(&never_sent, 1)]), 0);
    }
}
