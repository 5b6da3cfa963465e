//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Deserialize;

use super::client::Client;
use super::policy;
use super::server::Server;
use super::service::{Drained, Service};

/// The code that ends every WebSocket here: that of a policy that names none.
const GOODBYE: &str = "1012";

/// What a client counted at one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Tally {
    /// Answers to requests or messages.
    pub answers: u64,
    /// The same by the name of the pod that gave them.
    pub pods: BTreeMap<String, u64>,
    /// Everything else that came of a request, by the text of its error.
    pub errors: BTreeMap<String, u64>,
    /// The codes with which the server closed WebSockets.
    pub closed: BTreeMap<String, u64>,
    /// Messages that crossed such a Close, and have no answer: a Close can't be taken back, whoever
    /// says it.
    pub crossed: u64,
    /// The longest time between two answers, in milliseconds. Where it is far beyond the client's
    /// pauses, the computer was too busy for a judgment.
    pub longest: u64,
}

/// What a client counted.
#[derive(Debug)]
pub struct Outcome {
    /// The client.
    pub client: Client,
    /// What it counted at each service, or why it did not.
    pub tallies: Result<Vec<(Server, Tally)>>,
}

/// What came of a run, for people, and whether it is as it has to be.
#[derive(Debug)]
pub struct Report {
    /// A table.
    pub table: String,
    /// Everything that should not have been.
    pub failures: Vec<String>,
}

// === impl Report ===

impl Report {
    /// Judges a run: no client saw an error but for those that [`policy::errors_allowed`] knows of,
    /// each was answered by each pod, and each drain ended as it has to.
    pub fn new(
        outcomes: &[Outcome],
        drained: Vec<(Server, Result<Vec<Drained>>)>,
        services: &[Service],
    ) -> Self {
        let mut report = Self {
            table: format!(
                "{:<20} {:<12} {:>9} {:>7} {:>9}  {}\n",
                "client", "service", "answers", "errors", "pause", ""
            ),
            failures: Vec::new(),
        };
        for outcome in outcomes {
            match &outcome.tallies {
                Ok(tallies) => {
                    for (server, tally) in tallies {
                        let pods = services.iter().find(|service| service.server() == *server);
                        let pods = pods.map(Service::pods).unwrap_or_default();
                        report.count(outcome.client, *server, tally, pods);
                    }
                }
                Err(error) => report
                    .failures
                    .push(format!("{}: {error:#}", outcome.client)),
            }
        }
        for (server, drained) in drained {
            match drained {
                Ok(drained) => {
                    let seen = errors_of_busy_tls(outcomes, server);
                    report.drains(server, &drained, seen);
                }
                Err(error) => report.failures.push(format!("{server}: {error:#}")),
            }
        }
        report
    }

    fn count(&mut self, client: Client, server: Server, tally: &Tally, pods: &[String]) {
        let errors: u64 = tally.errors.values().sum();
        let mut codes = codes(&tally.closed);
        if tally.crossed > 0 {
            codes.push_str(&format!(", {} crossed a message", tally.crossed));
        }
        let left = (pods.len() as u64).saturating_sub(1);
        let allowed = policy::errors_allowed(client, server, left, &tally.errors);
        if allowed > 0 {
            codes.push_str(&format!("up to {allowed} errors are known here"));
        }
        // Names are padded as text: they have no widths of their own.
        let (client, server) = (client.to_string(), server.to_string());
        self.line(format_args!(
            "{client:<20} {server:<12} {:>9} {errors:>7} {:>6} ms  {codes}",
            tally.answers, tally.longest
        ));
        for (error, number) in tally.errors.iter().filter(|_| errors > allowed) {
            self.failures
                .push(format!("{client} at {server}, {number} times: {error}"));
        }
        let unseen = pods.iter().filter(|pod| !tally.pods.contains_key(*pod));
        let unseen: Vec<&str> = unseen.map(String::as_str).collect();
        if !unseen.is_empty() {
            self.failures.push(format!(
                "{client} was never answered by {}",
                unseen.join(", ")
            ));
        }
        for code in tally.closed.keys().filter(|code| *code != GOODBYE) {
            self.failures.push(format!(
                "{client} at {server}: a WebSocket was closed with {code}"
            ));
        }
    }

    /// `seen` is how many errors clients saw there whose connections may be cut.
    fn drains(&mut self, server: Server, drained: &[Drained], seen: u64) {
        let slowest = drained.iter().map(|drained| drained.drain.took_ms).max();
        let sum = |value: fn(&Drained) -> u64| drained.iter().map(value).sum::<u64>();
        let cut = sum(|drained| drained.drain.cut_in_all());
        let mut closed = BTreeMap::new();
        for (code, number) in drained.iter().flat_map(|drained| &drained.closed) {
            *closed.entry(code.clone()).or_default() += number;
        }
        self.line(format_args!(
            "{} drains of {server}: the slowest {:.1} s; {} finished, {} late, {} idle closed, {} cut, {} handed over; {}",
            drained.len(),
            slowest.unwrap_or(0) as f64 / 1e3,
            sum(|drained| drained.drain.finished),
            sum(|drained| drained.drain.late),
            sum(|drained| drained.drain.idle_closed),
            cut,
            sum(|drained| drained.drain.handed_over),
            codes(&closed),
        ));
        if seen > cut {
            self.failures.push(format!(
                "{server}: clients saw {seen} errors, and the sidecars cut {cut} connections"
            ));
        }
        for code in closed.keys().filter(|code| *code != GOODBYE) {
            self.failures
                .push(format!("{server} saw a WebSocket closed with {code}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.table, "{line}").expect("a String takes everything");
    }
}

/// The errors at a server of clients that keep TLS busy: none may be without a cut that was
/// counted.
fn errors_of_busy_tls(outcomes: &[Outcome], server: Server) -> u64 {
    let busy = outcomes
        .iter()
        .filter(|outcome| outcome.client.keeps_tls_busy());
    let tallies = busy.flat_map(|outcome| outcome.tallies.iter().flatten());
    let here = tallies.filter(|(at, _)| *at == server);
    here.flat_map(|(_, tally)| tally.errors.values()).sum()
}

fn codes(closed: &BTreeMap<String, u64>) -> String {
    let codes = closed
        .iter()
        .map(|(code, number)| format!("{number} x {code}"));
    codes.collect::<Vec<_>>().join(", ")
}
