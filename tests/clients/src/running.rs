//! A client program while it runs.
//!
//! A program gets the addresses of the services as arguments, says `ready` when each has answered
//! once, goes on until SIGTERM, and then prints one line: a JSON object with a [`Tally`] for each
//! address.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ebb_netns::eventually;
use ebb_netns::process::Process;
use rustix::process::Signal;

use super::Plan;
use super::client::Client;
use super::gateway::Gateway;
use super::server::Server;
use super::service::Service;
use super::tally::{Outcome, Tally};

/// How long a client may take to start and to end. An answer that it waits for ends it late.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client that runs.
#[derive(Debug)]
pub struct Running {
    client: Client,
    services: Vec<(Server, String)>,
    process: Process,
    gateway: Option<Process>,
    lines: Receiver<String>,
}

// === impl Running ===

impl Running {
    /// Starts a client with the addresses of all services that speak its protocol.
    pub fn start(client: Client, plan: &Plan, services: &[Service]) -> Result<Self> {
        let addresses = services.iter().filter_map(|service| {
            let url = service.url(client.protocol())?;
            Some((service.server(), url))
        });
        let mut services: Vec<(Server, String)> = addresses.collect();
        let gateway = match client.gateway() {
            Some(gateway) => Some(before(gateway, client, plan, &mut services)?),
            None => None,
        };
        let mut command = client.command(plan);
        command.args(services.iter().map(|(_, url)| url));
        let name = client.to_string();
        let (process, output) = Process::start_and_read(command, &name, &plan.scratch)?;
        Ok(Self {
            client,
            services,
            process,
            gateway,
            lines: lines_of(output),
        })
    }

    /// Waits until every service has answered it once.
    pub fn answered(&mut self) -> Result<()> {
        let line = self.next_line()?;
        ensure!(line == "ready", "{} says {line:?}", self.client);
        Ok(())
    }

    /// Ends it, and returns what it counted.
    pub fn stop(self) -> Outcome {
        Outcome {
            client: self.client,
            tallies: self.tallies(),
        }
    }

    fn tallies(&self) -> Result<Vec<(Server, Tally)>> {
        self.process.signal(Signal::TERM)?;
        let line = self.next_line()?;
        let mut counted: BTreeMap<String, Tally> = serde_json::from_str(&line)
            .with_context(|| format!("{} says {line:?}", self.client))?;
        let tallies = self.services.iter().map(|(server, url)| {
            let tally = counted.remove(url);
            Ok((
                *server,
                tally.with_context(|| format!("no count for {url}"))?,
            ))
        });
        tallies.collect()
    }

    fn next_line(&self) -> Result<String> {
        let problem = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => return Ok(line),
            Err(RecvTimeoutError::Timeout) => "says nothing",
            Err(RecvTimeoutError::Disconnected) => "has ended",
        };
        let gateway = self.gateway.as_ref().map(Process::explanation);
        bail!(
            "{} {problem}{}{}",
            self.client,
            self.process.explanation(),
            gateway.unwrap_or_default()
        )
    }
}

/// Starts a gateway before these services, whose addresses become those at the gateway.
fn before(
    gateway: Gateway,
    client: Client,
    plan: &Plan,
    services: &mut [(Server, String)],
) -> Result<Process> {
    let name = format!("{client}-gateway");
    let own = |(_, url): &(Server, String)| url.trim_start_matches("http://").to_owned();
    let behind: Vec<String> = services.iter().map(own).collect();
    let (command, listens) = gateway.before(plan, &name, &behind)?;
    let mut process = Process::start(command, &name, &plan.scratch)?;
    for ((_, url), listen) in services.iter_mut().zip(listens) {
        *url = format!("http://{listen}");
        let what = format!("{name} at {listen}{}", process.explanation());
        eventually(&what, PATIENCE, || {
            process.still_runs()?;
            Ok(TcpStream::connect(listen).ok())
        })?;
    }
    Ok(process)
}

/// The lines of a program's output, which a thread reads until its end: a wait for one can be given
/// up then.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let read = BufReader::new(output).lines().map_while(Result::ok);
        // Nobody listens any more when the run has ended.
        let _ = read.map(|line| sender.send(line)).find(Result::is_err);
    });
    lines
}
