//! Keeps the Secret, the API server's trust and the certificate in service together.

use super::{Material, Webhook};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rustls::sign::CertifiedKey;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// The name of the Secret.
const CERTIFICATE_SECRET: &str = "ebb-webhook-certificate";

/// How often all of it is looked at. The wall clock may jump, so no timer runs for months.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while something is missing, above all the configuration during an installation.
const LOOK_SOON: Duration = Duration::from_secs(1);

/// How often a write may be lost to another replica in a row.
const ATTEMPTS: usize = 5;

/// Why there is no certificate in service.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The API server did not answer, or not as hoped.
    #[error("cannot read or write the Secret {CERTIFICATE_SECRET} of the controller's namespace")]
    Secret(#[source] Box<kube::Error>),
    /// The bundle that the API server trusts can't be written.
    #[error("cannot read or patch the MutatingWebhookConfiguration {configuration}")]
    Configuration {
        /// Its name.
        configuration: String,
        /// What the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// No certificate can be made.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// What was made can't be served.
    #[error("the certificate that was made cannot be served: {0}")]
    Unusable(String),
    /// Others wrote the Secret whenever we did.
    #[error(
        "the Secret {CERTIFICATE_SECRET} was changed by somebody else {ATTEMPTS} times in a row"
    )]
    Contended,
}

/// Reads the certificate, and makes or renews it first where that is needed. What is `at_hand`
/// takes the place of a Secret that was deleted or damaged: other replicas serve it, too.
///
/// # Errors
///
/// Fails if the API server can't be asked.
pub async fn load(
    client: &Client,
    webhook: &Webhook,
    at_hand: Option<&Material>,
) -> Result<(Material, Arc<CertifiedKey>), CertificateError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &webhook.namespace);
    let failed = |error| CertificateError::Secret(Box::new(error));
    let make = |now| match at_hand {
        Some(material) => Ok(material.clone()),
        None => Material::make(webhook, now),
    };
    for _ in 0..ATTEMPTS {
        let now = Timestamp::now();
        let stored = secrets.get_opt(CERTIFICATE_SECRET).await.map_err(failed)?;
        let written = match &stored {
            None => {
                let material = make(now).map_err(CertificateError::Make)?;
                let secret = secret(&material, None);
                secrets
                    .create(&PostParams::default(), &secret)
                    .await
                    .map(|_| material)
            }
            Some(stored) => {
                let renewed =
                    match Material::read(stored.data.as_ref().unwrap_or(&Default::default())) {
                        Ok(material) => match material.renewed(webhook, now) {
                            Ok(None) => return served(material),
                            Ok(Some(renewed)) => Ok(renewed),
                            Err(error) => Err(error),
                        },
                        Err(why) => {
                            warn!(
                                secret = CERTIFICATE_SECRET,
                                why, "the certificate is damaged; writing it anew"
                            );
                            make(now)
                        }
                    };
                let renewed = renewed.map_err(CertificateError::Make)?;
                let version = stored.metadata.resource_version.clone();
                let secret = secret(&renewed, version);
                secrets
                    .replace(CERTIFICATE_SECRET, &PostParams::default(), &secret)
                    .await
                    .map(|_| renewed)
            }
        };
        match written {
            Ok(material) => {
                info!(
                    secret = CERTIFICATE_SECRET,
                    ?material,
                    "wrote the certificate"
                );
                return served(material);
            }
            // Another replica was faster, or somebody deleted it: read again.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(CertificateError::Contended)
}

/// Keeps the certificate, of which `present` is served now, fresh, stored, and trusted by the API
/// server; never returns. `trusted` is dropped
/// as soon as the API server trusts us, or has no configuration by which it would call us.
pub async fn follow<G>(
    client: Client,
    webhook: Webhook,
    mut present: Material,
    served: watch::Sender<Arc<CertifiedKey>>,
    trusted: G,
) {
    let mut trusted = Some(trusted);
    let mut complaint = String::new();
    loop {
        let mut step = async || -> Result<(), CertificateError> {
            let (material, certified) = load(&client, &webhook, Some(&present)).await?;
            // The API server trusts the new one before anybody serves it.
            trust(&client, &webhook, material.bundle()).await?;
            if present != material {
                served.send_replace(certified);
                present = material;
            }
            Ok(())
        };
        let wait = match step().await {
            Ok(()) => {
                complaint.clear();
                drop(trusted.take());
                LOOK_EVERY
            }
            Err(error) => {
                if is_absent(&error) {
                    drop(trusted.take());
                }
                // Once per complaint, not once per second.
                let text = format!("{error}: {:?}", std::error::Error::source(&error));
                if text != complaint {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "the webhook's certificate is not in order; trying again"
                    );
                    complaint = text;
                }
                LOOK_SOON
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Without a configuration no API server calls us, so its trust need not be waited for.
fn is_absent(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Configuration { source, .. }
        if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 404))
}

/// Puts the bundle into the configuration's webhooks, where another one stands.
async fn trust(
    client: &Client,
    webhook: &Webhook,
    bundle: ByteString,
) -> Result<(), CertificateError> {
    let name = &webhook.configuration;
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let failed = |source| CertificateError::Configuration {
        configuration: name.clone(),
        source: Box::new(source),
    };
    let configuration = configurations.get(name).await.map_err(failed)?;
    let stale: Vec<_> = configuration
        .webhooks
        .unwrap_or_default()
        .into_iter()
        .filter(|known| known.client_config.ca_bundle.as_ref() != Some(&bundle))
        .map(|known| json!({"name": known.name, "clientConfig": {"caBundle": bundle}}))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    // A strategic merge finds webhooks by their names and leaves the rest of them alone.
    let patch = Patch::Strategic(json!({"webhooks": stale}));
    let patched = configurations
        .patch(name, &PatchParams::default(), &patch)
        .await;
    patched.map_err(failed)?;
    info!(configuration = %name, "the API server now trusts the webhook's authority");
    Ok(())
}

fn served(material: Material) -> Result<(Material, Arc<CertifiedKey>), CertificateError> {
    let certified = material.certified().map_err(CertificateError::Unusable)?;
    Ok((material, Arc::new(certified)))
}

fn secret(material: &Material, version: Option<String>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(CERTIFICATE_SECRET.to_owned()),
            resource_version: version,
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(material.to_data()),
        ..Secret::default()
    }
}
