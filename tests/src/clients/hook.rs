//! What kubelet and a person ask of a sidecar, over its admin port.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ebb_api::names::{ADMIN_PORT, TOKEN_HEADER, hook_path};
use ebb_api::report::Report;

/// The token of every pod here.
pub const TOKEN: &str = "a-token";

/// How long a hook may be held. With the default settings a pod stops accepting after 35 s at the
/// latest, and no request here takes longer than a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Calls the preStop hook of a container and waits until the sidecar lets it go.
pub fn call(pod: Ipv4Addr, container: &str) -> Result<()> {
    get(pod, &hook_path(container)).map(drop)
}

/// What the sidecar says of itself.
pub fn status(pod: Ipv4Addr) -> Result<Report> {
    serde_json::from_str(&get(pod, "/v1/status")?).context("the sidecar's status is not readable")
}

fn get(pod: Ipv4Addr, path: &str) -> Result<String> {
    let answer = exchange(SocketAddr::from((pod, ADMIN_PORT)), path)
        .with_context(|| format!("no answer from the sidecar of {pod} to {path}"))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => bail!("the sidecar of {pod} answers {path} with {answer:?}"),
    }
}

fn exchange(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\n{TOKEN_HEADER}: {TOKEN}\r\n\
         user-agent: kube-lifecycle/1.35\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
