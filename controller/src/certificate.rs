//! The webhook's serving certificate, made and renewed by the controller itself: no other component
//! has to be installed, and no certificate expires because it was forgotten.
//!
//! An authority of our own lives for ten years; the API server trusts it for this one webhook. The
//! serving certificate lives for 90 days and is renewed after 60. So a renewal changes nothing that
//! the API server must learn first, and no call fails over it. Both are stored in a Secret, so that
//! all replicas and restarts serve the same.
//!
//! The authority is replaced a year before its end; the old one stays in the bundle until then.

mod rotate;
mod serve;

pub use rotate::{CertificateError, follow, load};
pub use serve::{Served, tls};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const AUTHORITY_DAYS: i32 = 3650;
const AUTHORITY_LEFT_DAYS: i32 = 365;
const SERVING_DAYS: i32 = 90;
const SERVING_LEFT_DAYS: i32 = 30;
/// Valid from an hour before now: the API server's clock may be slow.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const AUTHORITY_ENDS: &str = "ca.not-after";
const SERVING: &str = "tls.crt";
const SERVING_KEY: &str = "tls.key";
const SERVING_ENDS: &str = "tls.not-after";
const SERVING_NAMES: &str = "tls.names";

/// Where the webhook is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The controller's namespace.
    pub namespace: String,
    /// The Service in front of it.
    pub service: String,
    /// The MutatingWebhookConfiguration that names it.
    pub configuration: String,
}

/// An authority and a certificate that it has signed, as they are stored in the Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// PEM: the authority, then an earlier one whose certificate may still be in service.
    authority: String,
    authority_key: String,
    authority_ends: Timestamp,
    serving: String,
    serving_key: String,
    serving_ends: Timestamp,
    names: Vec<String>,
}

// === impl Webhook ===

impl Webhook {
    /// The names that the certificate is for. The API server asks for the first.
    fn names(&self) -> Vec<String> {
        let (service, namespace) = (&self.service, &self.namespace);
        vec![
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            format!("{service}.{namespace}"),
        ]
    }
}

// === impl Material ===

impl Material {
    /// A new authority, and a certificate that it has signed.
    fn make(webhook: &Webhook, now: Timestamp) -> Result<Material, rcgen::Error> {
        let key = KeyPair::generate()?;
        let ends = now + DAY * AUTHORITY_DAYS;
        let mut parameters = authority_parameters();
        set_validity(&mut parameters, now, ends);
        let authority = parameters.self_signed(&key)?;
        let mut material = Material {
            authority: authority.pem(),
            authority_key: key.serialize_pem(),
            authority_ends: ends,
            serving: String::new(),
            serving_key: String::new(),
            serving_ends: now,
            names: Vec::new(),
        };
        material.issue(webhook, now)?;
        Ok(material)
    }

    /// The replacement, if this one is due for renewal or is for other names.
    fn renewed(&self, webhook: &Webhook, now: Timestamp) -> Result<Option<Material>, rcgen::Error> {
        if now + DAY * AUTHORITY_LEFT_DAYS > self.authority_ends {
            let mut material = Material::make(webhook, now)?;
            let earlier = first_certificate(&self.authority);
            material.authority.push_str(earlier);
            return Ok(Some(material));
        }
        if now + DAY * SERVING_LEFT_DAYS > self.serving_ends || self.names != webhook.names() {
            let mut material = self.clone();
            material.issue(webhook, now)?;
            return Ok(Some(material));
        }
        Ok(None)
    }

    /// Replaces the serving certificate with a new one, signed by the present authority.
    fn issue(&mut self, webhook: &Webhook, now: Timestamp) -> Result<(), rcgen::Error> {
        let authority = KeyPair::from_pem(&self.authority_key)?;
        let issuer = Issuer::new(authority_parameters(), authority);
        let names = webhook.names();
        let ends = (now + DAY * SERVING_DAYS).min(self.authority_ends);
        let mut parameters = CertificateParams::new(names.clone())?;
        parameters.distinguished_name = named("ebb-webhook");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        set_validity(&mut parameters, now, ends);
        let key = KeyPair::generate()?;
        self.serving = parameters.signed_by(&key, &issuer)?.pem();
        self.serving_key = key.serialize_pem();
        self.serving_ends = ends;
        self.names = names;
        Ok(())
    }

    /// The certificates of authorities that the API server is to trust, for `caBundle`.
    fn bundle(&self) -> ByteString {
        ByteString(self.authority.clone().into_bytes())
    }

    /// What the listener serves. An error says what is wrong with the certificate or its key.
    fn certified(&self) -> Result<CertifiedKey, String> {
        let chain = CertificateDer::pem_slice_iter(self.serving.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("{SERVING} is no certificate: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(self.serving_key.as_bytes())
            .map_err(|error| format!("{SERVING_KEY} is no key: {error}"))?;
        let key = any_supported_type(&key)
            .map_err(|error| format!("{SERVING_KEY} is no key that can sign: {error}"))?;
        let certified = CertifiedKey::new(chain, key);
        certified
            .keys_match()
            .map_err(|error| format!("{SERVING_KEY} does not fit {SERVING}: {error}"))?;
        Ok(certified)
    }

    /// Reads the Secret's entries. An error says what is wrong with them.
    fn read(data: &BTreeMap<String, ByteString>) -> Result<Material, String> {
        let text = |name: &str| {
            let entry = data.get(name).ok_or_else(|| format!("{name} is missing"))?;
            String::from_utf8(entry.0.clone()).map_err(|_| format!("{name} is no text"))
        };
        let time = |name: &str| {
            let text = text(name)?;
            text.parse::<Timestamp>()
                .map_err(|error| format!("{name} is no time: {error}"))
        };
        let material = Material {
            authority: text(AUTHORITY)?,
            authority_key: text(AUTHORITY_KEY)?,
            authority_ends: time(AUTHORITY_ENDS)?,
            serving: text(SERVING)?,
            serving_key: text(SERVING_KEY)?,
            serving_ends: time(SERVING_ENDS)?,
            names: text(SERVING_NAMES)?.split(',').map(str::to_owned).collect(),
        };
        CertificateDer::from_pem_slice(material.authority.as_bytes())
            .map_err(|error| format!("{AUTHORITY} is no certificate: {error}"))?;
        KeyPair::from_pem(&material.authority_key)
            .map_err(|error| format!("{AUTHORITY_KEY} is no key: {error}"))?;
        material.certified()?;
        Ok(material)
    }

    fn to_data(&self) -> BTreeMap<String, ByteString> {
        [
            (AUTHORITY, self.authority.clone()),
            (AUTHORITY_KEY, self.authority_key.clone()),
            (AUTHORITY_ENDS, self.authority_ends.to_string()),
            (SERVING, self.serving.clone()),
            (SERVING_KEY, self.serving_key.clone()),
            (SERVING_ENDS, self.serving_ends.to_string()),
            (SERVING_NAMES, self.names.join(",")),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())))
        .collect()
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No key ever gets into a log.
        formatter
            .debug_struct("Material")
            .field("names", &self.names)
            .field("serving_ends", &self.serving_ends)
            .field("authority_ends", &self.authority_ends)
            .finish_non_exhaustive()
    }
}

/// The same every time: a certificate names its issuer by this name and by a hash of its key.
fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named("ebb-webhook-authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn set_validity(parameters: &mut CertificateParams, now: Timestamp, ends: Timestamp) {
    let date = |time: Timestamp| {
        // The authority's end is decades before what either type of time can hold.
        let seconds = u64::try_from(time.as_second()).unwrap_or(0);
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds)
    };
    parameters.not_before = date(now - CLOCK_SKEW);
    parameters.not_after = date(ends);
}

/// The first certificate of a PEM text, with its final newline.
fn first_certificate(pem: &str) -> &str {
    const END: &str = "-----END CERTIFICATE-----";
    let end = pem.find(END).map_or(pem.len(), |start| start + END.len());
    let end = pem[end..]
        .find('\n')
        .map_or(pem.len(), |newline| end + newline + 1);
    &pem[..end]
}

#[cfg(test)]
pub(crate) mod tests;
