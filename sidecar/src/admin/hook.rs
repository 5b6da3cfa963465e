//! `GET /hook/{container}`: kubelet waits here before it ends a container.

use super::response::sentence;
use super::{Admin, Body, Client};
use crate::drain::Caller;
use crate::hooks::{Answer, Call, Origin};
use crate::lifecycle::Message;
use ebb_api::names::{SIDECAR_CONTAINER, TOKEN_HEADER};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::oneshot;

/// Holds the call until the drain machine lets it go.
pub(super) async fn serve(
    admin: &Admin,
    container: &str,
    headers: &HeaderMap,
    client: &Client,
) -> Response<Body> {
    let given = headers.get(TOKEN_HEADER).map(|token| token.as_bytes());
    if !admin.admits(given) {
        admin.metrics.hook("unauthorized");
        tracing::warn!(
            client.addr = %client.peer,
            container,
            token = if given.is_some() { "wrong" } else { "missing" },
            "hook call refused"
        );
        return sentence(
            StatusCode::UNAUTHORIZED,
            "a hook call needs this pod's token; nothing has changed",
        );
    }
    let caller = match container {
        SIDECAR_CONTAINER => Caller::Own,
        name if admin.containers.contains(name) => Caller::App(name.to_owned()),
        name => {
            admin.metrics.hook("unknown");
            tracing::warn!(client.addr = %client.peer, container = name, "hook call for no container of this pod");
            return sentence(
                StatusCode::NOT_FOUND,
                "no container of that name was in the pod when it was injected",
            );
        }
    };
    admin.metrics.hook("accepted");
    let from = client.peer.ip().to_canonical();
    let pod_address = client.local.ip().to_canonical();
    let origin = admin.prober().origin(&caller, from, pod_address);
    // Strangers keep no place that kubelet may need.
    let _pinned = (origin != Origin::Stranger).then(|| client.slot.pin());
    let (answer, answered) = oneshot::channel();
    let called = admin.lifecycle.send(Message::Hook(Call {
        caller,
        from,
        origin,
        pod_address,
        answer,
    }));
    // Without a lifecycle the process is about to end, and so is the reason to wait.
    let answer = match called.await {
        Ok(()) => answered.await.unwrap_or(Answer::Released),
        Err(_) => Answer::Released,
    };
    match answer {
        Answer::Released => sentence(StatusCode::OK, "released"),
        Answer::Refused => {
            admin.metrics.hook("refused");
            sentence(
                StatusCode::FORBIDDEN,
                "hooks are kubelet's to call, and the controller says that the pod stays; nothing has changed",
            )
        }
    }
}

impl Admin {
    fn admits(&self, given: Option<&[u8]>) -> bool {
        let (Some(token), Some(given)) = (&self.token, given) else {
            return false;
        };
        // The time that this takes must not tell how much of a guess was right. Only the length
        // shows, and that is in the source.
        let token = token.as_bytes();
        token.len() == given.len()
            && token
                .iter()
                .zip(given)
                .fold(0, |difference, (a, b)| difference | (a ^ b))
                == 0
    }
}
