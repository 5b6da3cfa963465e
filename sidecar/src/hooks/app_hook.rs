//! One preStop hook of the app, carried out by the sidecar as kubelet would have.

use bytes::Bytes;
use ebb_api::bootstrap::OwnHook;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How a hook of the app went wrong.
#[derive(Debug, thiserror::Error)]
enum AppHookError {
    #[error("cannot connect to {host}:{port}")]
    Connect {
        host: String,
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("the request cannot be made")]
    Request(#[source] hyper::http::Error),
    #[error("no answer")]
    Answer(#[source] hyper::Error),
}

/// Carries the hook out. `called` is when kubelet called ours in its place. As with kubelet, a hook
/// that fails has been called.
pub(super) async fn carry_out(hook: OwnHook, pod_address: IpAddr, called: Instant) {
    match hook {
        OwnHook::Sleep { seconds } => {
            let until = called + Duration::from_secs(seconds.into());
            tokio::time::sleep_until(until.into()).await;
        }
        OwnHook::HttpGet {
            host,
            port,
            path,
            headers,
            ..
        } => {
            let host = host.unwrap_or_else(|| pod_address.to_string());
            match get(&host, port, &path, &headers).await {
                Ok(status) => tracing::info!(%host, port, path, status, "app's own preStop hook"),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%host, port, path, %error, cause, "app's own preStop hook failed");
                }
            }
        }
    }
}

async fn get(
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
) -> Result<u16, AppHookError> {
    let stream =
        TcpStream::connect((host, port))
            .await
            .map_err(|source| AppHookError::Connect {
                host: host.to_owned(),
                port,
                source,
            })?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut request = Request::get(format!("{slash}{path}"));
    let named = |name: &hyper::header::HeaderName| {
        headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name.as_str()))
    };
    if !named(&HOST) {
        let host = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        request = request.header(HOST, host);
    }
    if !named(&USER_AGENT) {
        request = request.header(USER_AGENT, concat!("ebb/", env!("CARGO_PKG_VERSION")));
    }
    for (key, value) in headers {
        request = request.header(key, value);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(AppHookError::Request)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(AppHookError::Answer)?;
    // The connection moves only while it is polled; it ends when its sender and its body are gone.
    let status = async {
        let answer = sender.send_request(request).await;
        drop(sender);
        answer.map(|answer| answer.status().as_u16())
    };
    let (status, _ended) = tokio::join!(status, connection);
    status.map_err(AppHookError::Answer)
}
