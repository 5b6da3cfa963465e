//! What kubelet and a person ask of a sidecar, over its admin port.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ebb_api::names::{ADMIN_PORT, TOKEN_HEADER, hook_path};
use ebb_api::report::Report;

use crate::bootstrap::TOKEN;
use crate::eventually;

/// How long an answer may take, the release of a hook included: no drain of ours is longer.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a connection may take to be made on one machine.
const CONNECT: Duration = Duration::from_secs(5);

/// A sidecar's admin port.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    address: SocketAddr,
}

/// Calls of preStop hooks, which the sidecar holds until the pod has drained.
#[derive(Debug)]
#[must_use = "a call that is dropped is one that kubelet has given up"]
pub struct Hooks {
    calls: Vec<TcpStream>,
}

// === impl Admin ===

impl Admin {
    /// That of the pod with this address.
    pub fn of(pod: IpAddr) -> Self {
        Self {
            address: SocketAddr::new(pod, ADMIN_PORT),
        }
    }

    /// Its address.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// What the sidecar says of itself.
    pub fn status(self) -> Result<Report> {
        serde_json::from_str(&self.get("/v1/status")?)
            .context("the sidecar's status is not readable")
    }

    /// Waits until the status is as wanted, for at most `limit`, and returns it.
    pub fn until(
        self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<Report> {
        let mut last = None;
        let waited = eventually(what, limit, || {
            let report = self.status()?;
            let found = wanted(&report).then(|| report.clone());
            last = Some(report);
            Ok(found)
        });
        waited.with_context(|| format!("the status is {last:?}"))
    }

    /// The metrics, as text.
    pub fn metrics(self) -> Result<String> {
        self.get("/metrics")
    }

    /// A whole number among the metrics, by its name and labels.
    pub fn metric(self, name: &str) -> Result<u64> {
        let text = self.metrics()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.with_context(|| format!("{name} is not in {text}"))?;
        Ok(value.trim().parse()?)
    }

    /// Whether kubelet's readiness probe passes.
    pub fn is_ready(self) -> bool {
        self.get("/readyz").is_ok()
    }

    /// Begins to call the preStop hooks of these containers, as kubelet does for all containers of
    /// a pod that is deleted.
    pub fn call_hooks(self, containers: &[&str]) -> Result<Hooks> {
        let call = |container: &&str| self.ask(&hook_path(container));
        let calls = containers.iter().map(call).collect::<Result<Vec<_>>>();
        Ok(Hooks {
            calls: calls.context("can't call the hooks")?,
        })
    }

    fn get(self, path: &str) -> Result<String> {
        let mut answer = String::new();
        self.ask(path)?
            .read_to_string(&mut answer)
            .with_context(|| format!("no answer from the sidecar at {} to {path}", self.address))?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
            _ => bail!(
                "the sidecar at {} answers {path} with {answer:?}",
                self.address
            ),
        }
    }

    /// Sends a request with the pod's token, on a connection that ends with its answer.
    fn ask(self, path: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT)
            .with_context(|| format!("no connection to the sidecar at {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\n{TOKEN_HEADER}: {TOKEN}\r\n\
             user-agent: kube-lifecycle/1.35\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n",
            self.address
        )?;
        Ok(stream)
    }
}

// === impl Hooks ===

impl Hooks {
    /// Fails if one of them is released by now.
    pub fn are_held(&self) -> Result<()> {
        for call in &self.calls {
            call.set_nonblocking(true)?;
            let seen = call.peek(&mut [0]);
            call.set_nonblocking(false)?;
            match seen {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => bail!("a hook is released: {other:?}"),
            }
        }
        Ok(())
    }

    /// Waits until all of them are released; returns when the last one was.
    ///
    /// # Errors
    ///
    /// A hook is answered by anything but 200, or not within a minute.
    pub fn released(mut self) -> Result<Instant> {
        for call in &mut self.calls {
            let mut answer = [0; 512];
            let read = call.read(&mut answer).context("a hook was not answered")?;
            let answer = String::from_utf8_lossy(&answer[..read]);
            ensure!(
                answer.starts_with("HTTP/1.1 200 "),
                "a hook was answered {answer:?}"
            );
        }
        Ok(Instant::now())
    }
}
