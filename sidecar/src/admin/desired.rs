//! `PUT /v1/desired`: what the controller wants, if it is the controller.

use super::response::{json, sentence};
use super::{Admin, Body};
use crate::drain::{Source, rules};
use crate::lifecycle::{Message, Refusal};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ebb_api::desired::{Conflict, Desired, Signed};
use ebb_api::names::{KEY_HEADER, SIGNATURE_HEADER};
use ebb_api::phase::Trigger;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

/// The largest body, in bytes. A desired state has about 500, and anybody may send one that is kept
/// until its signature was looked at.
const BODY_LIMIT: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Why a desired state was refused. None of these changes anything.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the body did not arrive within {} seconds", BODY_TIME.as_secs())]
    Slow,
    #[error("the body is larger than {} KiB, or broke off", BODY_LIMIT / 1024)]
    Large,
    #[error("this pod was born without a usable key: it accepts no desired state")]
    NoKey,
    #[error(
        "the body must be signed with the key that the pod's annotation names (header {KEY_HEADER})"
    )]
    OtherKey,
    #[error(
        "the signature (header {SIGNATURE_HEADER}, Ed25519 over the body, in base64) does not fit"
    )]
    Signature,
    #[error("the body is no desired state: {0}")]
    Garbage(serde_json::Error),
    #[error("a pod cannot be told to leave for a {0}: that is kubelet's to say")]
    Trigger(Trigger),
    #[error("this is another pod")]
    OtherPod,
    #[error("not newer than the state that is in force, or meant for another start of the sidecar")]
    Conflict(Conflict),
}

pub(super) async fn serve(
    admin: &Admin,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<Body> {
    match accept(admin, request).await {
        Ok(report) => json(StatusCode::OK, &report),
        Err(refused) => {
            admin.metrics.desired_refused(refused.word());
            tracing::warn!(client.addr = %peer, reason = %refused, "desired state refused");
            match &refused {
                Refused::Conflict(conflict) => json(refused.status(), conflict),
                _ => sentence(refused.status(), &refused.to_string()),
            }
        }
    }
}

async fn accept(
    admin: &Admin,
    request: Request<Incoming>,
) -> Result<ebb_api::report::Report, Refused> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_LIMIT).collect())
        .await
        .map_err(|_| Refused::Slow)?
        .map_err(|_| Refused::Large)?
        .to_bytes();
    let signature = verify(admin, &head.headers, &body)?;
    let desired: Desired = serde_json::from_slice(&body).map_err(Refused::Garbage)?;
    if let Some(leave) = desired.leave
        && rules(leave.trigger).source == Source::Kubelet
    {
        return Err(Refused::Trigger(leave.trigger));
    }
    let (answer, verdict) = oneshot::channel();
    let request = Message::Desired {
        desired: Box::new(desired),
        signed: Signed {
            // It is JSON, so it is UTF-8.
            body: String::from_utf8_lossy(&body).into_owned(),
            signature,
        },
        answer,
    };
    // The lifecycle ends just before the process does.
    admin
        .lifecycle
        .send(request)
        .await
        .map_err(|_| Refused::OtherPod)?;
    match verdict.await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(Refusal::Conflict(conflict))) => Err(Refused::Conflict(conflict)),
        Ok(Err(Refusal::OtherPod)) | Err(_) => Err(Refused::OtherPod),
    }
}

/// Nothing of the body is looked at before its signature was found good. Returns the signature.
fn verify(admin: &Admin, headers: &HeaderMap, body: &Bytes) -> Result<String, Refused> {
    let key = admin.key.as_ref().ok_or(Refused::NoKey)?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if header(KEY_HEADER) != Some(key.id.as_str()) {
        return Err(Refused::OtherKey);
    }
    let text = header(SIGNATURE_HEADER).ok_or(Refused::Signature)?;
    let signature = BASE64_STANDARD.decode(text);
    UnparsedPublicKey::new(&ED25519, &key.public)
        .verify(body, &signature.map_err(|_| Refused::Signature)?)
        .map_err(|_| Refused::Signature)?;
    Ok(text.to_owned())
}

// === impl Refused ===

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::Slow => StatusCode::REQUEST_TIMEOUT,
            Refused::Large => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::NoKey | Refused::OtherKey | Refused::Signature => StatusCode::UNAUTHORIZED,
            Refused::Garbage(_) | Refused::Trigger(_) => StatusCode::BAD_REQUEST,
            Refused::OtherPod => StatusCode::FORBIDDEN,
            Refused::Conflict(_) => StatusCode::CONFLICT,
        }
    }

    /// The reason as a label of a metric.
    fn word(&self) -> &'static str {
        match self {
            Refused::Slow | Refused::Large => "body",
            Refused::NoKey | Refused::OtherKey => "key",
            Refused::Signature => "signature",
            Refused::Garbage(_) | Refused::Trigger(_) => "garbage",
            Refused::OtherPod => "pod",
            Refused::Conflict(_) => "revision",
        }
    }
}
