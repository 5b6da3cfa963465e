//! The sample application: the app that Ebb drains in the demo and the suites.
//!
//! It behaves as most web applications do, not as the best ones do. At SIGTERM it stops to accept,
//! closes its idle keep-alive connections, says GOAWAY on those of HTTP/2, finishes the requests
//! that it has begun, drops its WebSockets without a word, and exits; so a connection that is on
//! its way to it is refused, a request that races the close of an idle connection is lost, and so
//! is a WebSocket. That is the loss that draining is there to prevent.
//!
//! | request | answer |
//! |---|---|
//! | `GET /`, `POST /` | the pod's name, after the usual delay |
//! | `/whoami` | the pod's name, at once |
//! | `/peer` | the client's address and port, as the application sees them, and a dot |
//! | `/slow?seconds=20` | one line after that time; logged |
//! | `/stream?seconds=20` | a line every 100 ms for that time, chunked; logged |
//! | `/healthz` | 200; 503 after `POST /fail` |
//! | `POST /hang` | from now on nothing is answered, `/healthz` included |
//! | `/echo`, a WebSocket | each message, after the usual delay; its end is logged with its code, 1006 if there was no Close |
//! | gRPC, [`grpc::SAY`] and [`grpc::CHAT`] | each message, after the usual delay |
//! | gRPC, `grpc.health.v1.Health/Check` | as `/healthz`; for kubelet's probes |
//!
//! A second kind of port echoes plain TCP. What happens goes to stdout as one JSON object a line,
//! each with its time in milliseconds since 1970, so that the order of events can be proven from
//! the logs of several containers of one machine.

mod echo;
pub mod grpc;
pub mod log;
mod routes;
mod web;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use log::Log;
use routes::Routes;

/// A web application to try connection draining with. Every option can be given by its variable.
#[derive(Clone, Debug, Parser)]
pub struct Config {
    /// The addresses to serve HTTP/1, HTTP/2 with prior knowledge, gRPC and WebSockets on.
    #[arg(
        long,
        env = "SAMPLE_HTTP",
        value_delimiter = ',',
        default_value = "0.0.0.0:8080"
    )]
    pub http: Vec<SocketAddr>,
    /// The addresses to echo TCP on.
    #[arg(long, env = "SAMPLE_ECHO", value_delimiter = ',')]
    pub echo: Vec<SocketAddr>,
    /// How long the work for `/` takes, in milliseconds.
    #[arg(long, env = "SAMPLE_DELAY_MS", default_value_t = 50)]
    pub delay_ms: u64,
    /// How long after its start it begins to listen, in seconds.
    #[arg(long, env = "SAMPLE_START_DELAY_SECONDS", default_value_t = 0)]
    pub start_delay_seconds: u64,
    /// What SIGTERM does.
    #[arg(long, env = "SAMPLE_AT_SIGTERM", value_enum, default_value_t = AtSigterm::Finish)]
    pub at_sigterm: AtSigterm,
    /// How long the shutdown takes at least, in seconds, whatever is in flight.
    #[arg(long, env = "SAMPLE_SHUTDOWN_SECONDS", default_value_t = 0)]
    pub shutdown_seconds: u64,
    /// The name to answer with.
    #[arg(long, env = "POD_NAME", default_value = "sample")]
    pub pod_name: String,
}

/// What SIGTERM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AtSigterm {
    /// Accept no more, close idle connections, finish what has begun, exit.
    Finish,
    /// Exit at once, whatever is in flight.
    Abrupt,
}

/// The application with its ports open.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    http: Vec<TcpListener>,
    echo: Vec<TcpListener>,
    log: Log,
}

// === impl Config ===

impl Config {
    /// Waits out the start delay, then opens the ports.
    ///
    /// # Errors
    ///
    /// Names the address that can't be listened on.
    pub async fn bind(self, log: Log) -> Result<Bound> {
        log.line("start", json!({"pod": self.pod_name}));
        tokio::time::sleep(Duration::from_secs(self.start_delay_seconds)).await;
        let http = listen(&self.http).await?;
        let echo = listen(&self.echo).await?;
        log.line("listening", json!({"http": self.http, "echo": self.echo}));
        Ok(Bound {
            config: self,
            http,
            echo,
            log,
        })
    }
}

async fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.with_context(|| format!("can't listen on {address}"))?);
    }
    Ok(listeners)
}

// === impl Bound ===

impl Bound {
    /// The addresses that HTTP is served on.
    pub fn http_addresses(&self) -> Result<Vec<SocketAddr>> {
        self.http
            .iter()
            .map(|listener| Ok(listener.local_addr()?))
            .collect()
    }

    /// The addresses that echo.
    pub fn echo_addresses(&self) -> Result<Vec<SocketAddr>> {
        self.echo
            .iter()
            .map(|listener| Ok(listener.local_addr()?))
            .collect()
    }

    /// Serves until `sigterm` completes, then ends as [`Config::at_sigterm`] says.
    pub async fn serve(self, sigterm: impl Future<Output = ()>) {
        let routes = Routes::new(&self.config, self.log.clone());
        let (stop, stopping) = watch::channel(false);
        let mut listeners = JoinSet::new();
        for listener in self.http {
            listeners.spawn(accept(listener, stopping.clone(), {
                let routes = routes.clone();
                move |stream, stopping| web::serve_connection(stream, routes.clone(), stopping)
            }));
        }
        for listener in self.echo {
            listeners.spawn(accept(listener, stopping.clone(), echo::serve_connection));
        }
        drop(stopping);

        sigterm.await;
        self.log.line("sigterm", still_open(&routes));
        if self.config.at_sigterm == AtSigterm::Finish {
            let least = tokio::time::sleep(Duration::from_secs(self.config.shutdown_seconds));
            stop.send_replace(true);
            while listeners.join_next().await.is_some() {}
            least.await;
        }
        self.log.line("exit", still_open(&routes));
    }
}

fn still_open(routes: &Routes) -> serde_json::Value {
    json!({
        "openRequests": routes.open_requests(),
        "openWebSockets": routes.open_web_sockets(),
    })
}

/// Accepts until told to stop, closes the listener, and returns when all its connections ended.
async fn accept<F>(
    listener: TcpListener,
    mut stopping: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, watch::Receiver<bool>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, stopping.clone()));
                }
                // Out of descriptors, or the client was faster to leave: the next one may do.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            () = told(&mut stopping) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Completes when the application stops.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // The sender is gone only when the application is, which is a stop, too.
    let _told = stopping.wait_for(|stopping| *stopping).await;
}
