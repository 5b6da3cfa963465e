//! What a server that speaks first says to a client that is silent.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ebb_api::phase::Phase;
use ebb_api::report::Protocol;
use ebb_netns::admin::Admin;

/// How long the greeting may take, on a computer that is busy, and the pod to begin to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// From then on goodbyes are said: a second after the hooks were called, where no controller
/// speaks.
const PARTING_MS: u64 = 1_200;

/// Connects to a pod that accepts although it leaves, says nothing, and waits for the greeting of
/// SMTP (RFC 5321, section 3.1). A relay that wanted to see the client's first bytes would wait,
/// too.
pub fn heard_in_lame_duck(pod: IpAddr, port: u16) -> Result<()> {
    let admin = Admin::of(pod);
    admin.until("goodbyes to be said", PATIENCE, |report| {
        let leaving = report.leaving.as_ref();
        leaving.is_some_and(|leaving| leaving.elapsed_ms >= PARTING_MS)
    })?;
    let address = SocketAddr::from((pod, port));
    let client = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("{address} takes no connection"))?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = String::new();
    BufReader::new(&client)
        .read_line(&mut greeting)
        .with_context(|| format!("{address} does not greet a client that is silent"))?;
    ensure!(
        greeting.starts_with("220 "),
        "{address} greets with {greeting:?}"
    );
    let report = admin.status()?;
    ensure!(
        report.phase == Phase::Deregistering,
        "the greeting of {address} came late: the pod is {:?}",
        report.phase
    );
    ensure!(
        report.now.connections.contains_key(&Protocol::Opaque),
        "{address} speaks first, and its connections are counted as {:?}",
        report.now.connections
    );
    Ok(())
}
