//! The one-shot step that leads the pod's inbound TCP to the relay. It is the only part of Ebb that
//! needs to change the pod's network: NET_ADMIN in the pod's own network namespace.

mod alias;
mod redirect;
mod result;
mod routes;
mod table;
mod tproxy;

pub(super) use result::{InitResult, Left, Selection};

use crate::config::Config;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::capture::Mode;
use rustix::fs::getxattr;

/// Why the rules of the transparent mode are not in force.
#[derive(Debug, thiserror::Error)]
enum NotTransparent {
    #[error(transparent)]
    Alias(#[from] alias::NoAlias),
    #[error("{0}")]
    Rules(#[from] nlink::Error),
    #[error("the image's program lacks the file capability cap_net_raw+p")]
    NoCapability,
}

/// Writes the rules of the first mode that is asked for and that the kernel takes, and leaves the
/// result for the sidecar. It does not fail: what went wrong is in the result, and the pod starts
/// all the same. It may run again (kubelet does, when the pod's sandbox died).
pub async fn run(config: &Config) {
    let result = match &config.bootstrap {
        Some(bootstrap) => write(bootstrap).await,
        // Which ports to leave alone is not known, so none is touched.
        None => InitResult::Failed(config.complaint.clone().unwrap_or_default()),
    };
    log(&result);
    if let Err(error) = result.leave().await {
        // Without a result the sidecar observes, and says that there was none. Then it must be so.
        tracing::error!(%error, "the result cannot be handed to the sidecar, so the rules are taken back");
        if let Err(error) = table::remove().await {
            tracing::error!(%error, "the rules cannot be taken back");
        }
    }
}

async fn write(bootstrap: &Bootstrap) -> InitResult {
    let mut failed = None;
    for mode in &bootstrap.capture.modes {
        match mode {
            Mode::Transparent => match transparent(&bootstrap.exclude_ports).await {
                Ok(()) => return InitResult::Transparent,
                Err(error) => failed = Some(error.to_string()),
            },
            Mode::Redirect => match redirect::write(&bootstrap.exclude_ports).await {
                Ok(selection) => {
                    return InitResult::Redirect {
                        selection,
                        over_loopback: routes::move_to_loopback().await,
                        instead: failed,
                    };
                }
                Err(error) => failed = Some(error.to_string()),
            },
            Mode::NamedPorts | Mode::Observe => {}
        }
    }
    InitResult::Failed(failed.unwrap_or_else(|| "no mode needs it".to_owned()))
}

/// The rules come last: a connection that they hand over finds all that it needs. The sidecar is
/// the same program, and it needs the capability that its file permits.
async fn transparent(exclude_ports: &[u16]) -> Result<(), NotTransparent> {
    if !has_capability() {
        return Err(NotTransparent::NoCapability);
    }
    alias::add().await?;
    Ok(tproxy::write(exclude_ports).await?)
}

/// Whether the file of this program permits capabilities (capabilities(7)). Which they are is not
/// looked at: only one is ever given to it.
fn has_capability() -> bool {
    let mut value = [0; 64];
    getxattr("/proc/self/exe", "security.capability", &mut value).is_ok()
}

fn log(result: &InitResult) {
    match result {
        InitResult::Transparent => {
            tracing::info!(
                "connections are handed over as they are; ports without a listener stay refused"
            );
        }
        InitResult::Redirect {
            selection: Selection::Listening,
            over_loopback,
            instead,
        } => {
            tracing::info!(
                ?over_loopback,
                instead,
                "redirect written; ports without a listener stay refused"
            );
        }
        InitResult::Redirect {
            selection: Selection::All(why),
            over_loopback,
            instead,
        } => tracing::warn!(
            ?over_loopback,
            instead,
            %why,
            "redirect written for all ports: this kernel cannot ask whether the app listens, so a tcpSocket probe always passes"
        ),
        InitResult::Failed(reason) => {
            tracing::error!(%reason, "no rules written, the pod runs without them");
        }
    }
}
