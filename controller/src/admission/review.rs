//! An AdmissionReview in, an AdmissionReview out.
//!
//! The patch is the difference between the pod as it came and as it is to be, both untyped JSON: a
//! field that this version does not know is the same in both, and so not in the patch.

use super::inject::Decision;
use super::pod::ReviewedPod;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{debug, info, warn};

/// An answer for the API server.
#[derive(Debug)]
pub struct Answer {
    /// The review with its response, as JSON; `None` if there was no review to answer.
    pub body: Option<Vec<u8>>,
    /// What came of it, in one word for metrics: `Injected`, `Undecodable`, or the reason of a
    /// refusal or of leaving the pod alone.
    pub outcome: &'static str,
}

/// The fields of a request that the webhook reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
struct Review {
    request: Request,
}

/// Answers a review. `inject` gets the pod and its namespace, which the pod itself often does not
/// say.
///
/// The answer always allows: a pod that cannot be read, or for which `inject` fails, goes through
/// as it came.
pub fn answer(
    body: &[u8],
    inject: impl FnOnce(&ReviewedPod, &str) -> Result<Decision, String>,
) -> Answer {
    let request = match serde_json::from_slice(body) {
        Ok(Review { request }) => request,
        Err(error) => {
            warn!(%error, "a call of the webhook that is no AdmissionReview");
            return Answer {
                body: None,
                outcome: UNDECODABLE,
            };
        }
    };
    let (patch, outcome) = patch(request.object, &request.namespace, request.dry_run, inject);
    let mut response = json!({"uid": request.uid, "allowed": true});
    if let Some(patch) = patch {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(BASE64.encode(patch));
    }
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    });
    Answer {
        body: Some(review.to_string().into_bytes()),
        outcome,
    }
}

const UNDECODABLE: &str = "Undecodable";

fn patch(
    object: Value,
    namespace: &str,
    dry_run: bool,
    inject: impl FnOnce(&ReviewedPod, &str) -> Result<Decision, String>,
) -> (Option<String>, &'static str) {
    let pod = match ReviewedPod::read(object) {
        Ok(pod) => pod,
        Err(error) => {
            warn!(namespace, %error, "a pod that cannot be read goes through without the sidecar");
            return (None, UNDECODABLE);
        }
    };
    let name = pod.name();
    match inject(&pod, namespace) {
        Err(error) => {
            warn!(
                namespace,
                pod = name,
                error,
                "a pod goes through without the sidecar"
            );
            (None, "Failed")
        }
        Ok(Decision::Skip(reason)) => {
            debug!(
                namespace,
                pod = name,
                reason = reason.as_str(),
                "left alone"
            );
            (None, reason.as_str())
        }
        Ok(Decision::Refuse(wanted, refusal)) => {
            let reason = refusal.as_str();
            info!(namespace, pod = name, reason, dry_run, "not injected");
            (difference(&pod, &wanted), reason)
        }
        Ok(Decision::Inject(wanted)) => {
            info!(namespace, pod = name, dry_run, "injected");
            (difference(&pod, &wanted), "Injected")
        }
    }
}

/// The patch as JSON; `None` if the pod stays as it is.
fn difference(pod: &ReviewedPod, wanted: &Value) -> Option<String> {
    let patch = json_patch::diff(pod.object(), wanted);
    (!patch.0.is_empty()).then(|| json!(patch).to_string())
}
