//! What the log says of the configuration.

use super::Config;

impl Config {
    /// Writes the first line of the log, and one about what could not be understood.
    pub fn log(&self) {
        tracing::info!(
            pod.name = self.name,
            pod.namespace = self.namespace,
            pod.uid = self.uid,
            policy = self.settings().policy,
            "starting"
        );
        if let Some(complaint) = &self.complaint {
            tracing::error!(%complaint, "the environment that the webhook wrote is damaged");
        }
    }
}
