//! An AdmissionReview in, an AdmissionReview out.
//!
//! The patch is the difference between the pod as it came and as it is to be, both untyped JSON: a
//! field that this version does not know is the same in both, and so not in the patch.

use super::inject::Decision;
use super::pod::ReviewedPod;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ebb_api::annotations::Annotations;
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
    let verdict = judge(request.object, &request.namespace, request.dry_run, inject);
    let mut response = json!({"uid": request.uid, "allowed": true});
    if let Some(patch) = verdict.patch {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(BASE64.encode(patch));
    }
    if !verdict.warnings.is_empty() {
        response["warnings"] = json!(verdict.warnings);
    }
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    });
    Answer {
        body: Some(review.to_string().into_bytes()),
        outcome: verdict.outcome,
    }
}

const UNDECODABLE: &str = "Undecodable";

/// What becomes of a pod, for the response.
struct Verdict {
    /// As JSON; `None` if the pod stays as it is.
    patch: Option<String>,
    /// What whoever makes the pod is told: `kubectl` shows it, and so does the log of a controller
    /// that makes pods.
    warnings: Vec<String>,
    outcome: &'static str,
}

fn judge(
    object: Value,
    namespace: &str,
    dry_run: bool,
    inject: impl FnOnce(&ReviewedPod, &str) -> Result<Decision, String>,
) -> Verdict {
    let pod = match ReviewedPod::read(object) {
        Ok(pod) => pod,
        Err(error) => {
            warn!(namespace, %error, "a pod that cannot be read goes through without the sidecar");
            return Verdict::unchanged(UNDECODABLE);
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
            Verdict::unchanged("Failed")
        }
        Ok(Decision::Skip(reason)) => {
            debug!(
                namespace,
                pod = name,
                reason = reason.as_str(),
                "left alone"
            );
            Verdict::unchanged(reason.as_str())
        }
        Ok(Decision::Refuse(wanted, refusal, why)) => {
            let reason = refusal.as_str();
            info!(namespace, pod = name, reason, why, dry_run, "not injected");
            let warning = why.map(|why| {
                format!(
                    "Ebb leaves pod {name} alone, which could not be made with its sidecar: {why}"
                )
            });
            Verdict {
                patch: difference(&pod, &wanted),
                warnings: warning.into_iter().collect(),
                ..Verdict::unchanged(reason)
            }
        }
        Ok(Decision::Inject(wanted, fitted)) => {
            info!(namespace, pod = name, dry_run, "injected");
            let fitted = fitted
                .into_iter()
                .map(|it| format!("Ebb's containers in pod {name} get {it}"));
            Verdict {
                patch: difference(&pod, &wanted),
                warnings: warnings(&pod).into_iter().chain(fitted).collect(),
                ..Verdict::unchanged("Injected")
            }
        }
    }
}

/// The annotations that can't be used. The pod starts without what they ask for.
fn warnings(pod: &ReviewedPod) -> Vec<String> {
    let annotations = Annotations::read(|name| pod.annotation(name));
    let unusable = annotations.unusable.iter();
    unusable
        .map(|it| format!("Ebb ignores an annotation of pod {}: {it}", pod.name()))
        .collect()
}

// === impl Verdict ===

impl Verdict {
    fn unchanged(outcome: &'static str) -> Verdict {
        Verdict {
            patch: None,
            warnings: Vec::new(),
            outcome,
        }
    }
}

/// The patch as JSON; `None` if the pod stays as it is.
fn difference(pod: &ReviewedPod, wanted: &Value) -> Option<String> {
    let patch = json_patch::diff(pod.object(), wanted);
    (!patch.0.is_empty()).then(|| json!(patch).to_string())
}
