//! The label and the annotations that say what was done to a pod.

use super::eligibility::Refusal;
use ebb_api::bootstrap::Bootstrap;
use ebb_api::names::{
    INJECTED_LABEL, KEY_ANNOTATION, ORIGINAL_GRACE_ANNOTATION, REFUSED_ANNOTATION,
    UNHELD_ANNOTATION,
};
use serde_json::{Value, json};

/// Marks a pod that has the sidecar. `unheld`: the containers that a drain can't hold.
pub(super) fn mark_injected(metadata: &mut Value, bootstrap: &Bootstrap, unheld: &[String]) {
    metadata["labels"][INJECTED_LABEL] = json!("true");
    let annotations = &mut metadata["annotations"];
    annotations[ORIGINAL_GRACE_ANNOTATION] = json!(bootstrap.original_grace_seconds.to_string());
    annotations[KEY_ANNOTATION] = json!(bootstrap.key);
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(REFUSED_ANNOTATION);
        annotations.remove(UNHELD_ANNOTATION);
        if !unheld.is_empty() {
            annotations.insert(UNHELD_ANNOTATION.to_owned(), json!(unheld.join(",")));
        }
    }
}

/// Marks a pod that should have the sidecar and can't.
pub(super) fn mark_refused(metadata: &mut Value, refusal: Refusal) {
    metadata["annotations"][REFUSED_ANNOTATION] = json!(refusal.as_str());
}
