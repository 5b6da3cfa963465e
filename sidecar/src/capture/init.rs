//! The one-shot step that redirects the pod's inbound TCP through the relay. It is the only part of
//! Ebb that needs a privilege: NET_ADMIN in the pod's own network namespace.

mod result;
mod routes;
mod rules;

pub(super) use result::{InitResult, Left, Selection};

use crate::config::Config;

/// Writes the rules and leaves the result for the sidecar. It does not fail: what went wrong is in
/// the result, and the pod starts without the redirect. It may run again (kubelet does, when the
/// pod's sandbox died).
pub async fn run(config: &Config) {
    let result = match &config.bootstrap {
        Some(bootstrap) => match rules::write(&bootstrap.exclude_ports).await {
            Ok(selection) => InitResult::Written {
                selection,
                over_loopback: routes::move_to_loopback().await,
            },
            Err(error) => InitResult::Failed(error.to_string()),
        },
        // Which ports to leave alone is not known, so none is touched.
        None => InitResult::Failed(config.complaint.clone().unwrap_or_default()),
    };
    match &result {
        InitResult::Written {
            selection: Selection::Listening,
            over_loopback,
        } => {
            tracing::info!(
                ?over_loopback,
                "redirect written; ports without a listener stay refused"
            );
        }
        InitResult::Written {
            selection: Selection::All(why),
            over_loopback,
        } => tracing::warn!(
            ?over_loopback,
            %why,
            "redirect written for all ports: this kernel cannot ask whether the app listens, so a tcpSocket probe always passes"
        ),
        InitResult::Failed(reason) => {
            tracing::error!(%reason, "redirect not written, the pod runs without it");
        }
    }
    if let Err(error) = result.leave().await {
        // Without a result the sidecar observes, and says that there was none. Then it must be so.
        tracing::error!(%error, "the result cannot be handed to the sidecar, so the redirect is taken back");
        if let Err(error) = rules::remove().await {
            tracing::error!(%error, "the redirect cannot be taken back");
        }
    }
}
