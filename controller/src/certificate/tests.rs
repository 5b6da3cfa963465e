use super::*;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// An authority with a certificate by it, for tests of what serves one.
pub(crate) struct Authority {
    /// What a client is to trust.
    pub(crate) certificate: CertificateDer<'static>,
    material: Material,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let material = Material::make(&webhook(), Timestamp::now()).unwrap();
        let certificate = CertificateDer::from_pem_slice(material.authority.as_bytes()).unwrap();
        Authority {
            certificate,
            material,
        }
    }
}

/// The certificate that it has signed.
pub(crate) fn certified(authority: &Authority) -> Arc<CertifiedKey> {
    Arc::new(authority.material.certified().unwrap())
}

fn webhook() -> Webhook {
    Webhook {
        namespace: "ebb-system".to_owned(),
        service: "ebb-webhook".to_owned(),
        configuration: "ebb".to_owned(),
    }
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// What is written to the Secret is what the next start reads.
#[test]
fn the_secret_keeps_everything() {
    let material = Material::make(&webhook(), start()).unwrap();
    assert_eq!(Material::read(&material.to_data()), Ok(material));
}

/// For 60 days nothing changes; then the serving certificate does, and what the API server trusts
/// stays the same, so that no call fails over it.
#[test]
fn a_renewal_leaves_the_authority_alone() {
    let material = Material::make(&webhook(), start()).unwrap();
    let later = start() + DAY * 59;
    assert_eq!(material.renewed(&webhook(), later).unwrap(), None);
    let later = start() + DAY * 61;
    let renewed = material.renewed(&webhook(), later).unwrap().unwrap();
    assert_eq!(renewed.bundle(), material.bundle());
    assert_ne!(renewed.serving, material.serving);
    assert_eq!(renewed.serving_ends, later + DAY * 90);
    assert_eq!(Material::read(&renewed.to_data()), Ok(renewed));
}

/// A new authority comes a year early, and the API server trusts both for that year.
#[test]
fn a_new_authority_does_not_turn_the_old_one_out() {
    let material = Material::make(&webhook(), start()).unwrap();
    let later = start() + DAY * (3650 - 364);
    let renewed = material.renewed(&webhook(), later).unwrap().unwrap();
    assert!(renewed.authority.ends_with(&material.authority));
    assert_ne!(renewed.authority, material.authority);
    let later = later + DAY * (3650 - 364);
    let third = renewed.renewed(&webhook(), later).unwrap().unwrap();
    let certificates = third.authority.matches("BEGIN CERTIFICATE").count();
    assert_eq!(certificates, 2, "the oldest one is gone by then");
}

/// A Service of another name needs another certificate at once.
#[test]
fn other_names_need_another_certificate() {
    let material = Material::make(&webhook(), start()).unwrap();
    let moved = Webhook {
        service: "other".to_owned(),
        ..webhook()
    };
    let renewed = material.renewed(&moved, start()).unwrap().unwrap();
    assert_eq!(renewed.names[0], "other.ebb-system.svc");
    assert_eq!(renewed.bundle(), material.bundle());
}

/// A damaged Secret is an error that names the entry, never a panic.
#[test]
fn damage_is_named() {
    let data = Material::make(&webhook(), start()).unwrap().to_data();
    for entry in data.keys() {
        let mut without = data.clone();
        without.remove(entry);
        let why = Material::read(&without).unwrap_err();
        assert_eq!(why, format!("{entry} is missing"));
        let mut garbage = data.clone();
        garbage.insert(entry.clone(), ByteString(b"\xff garbage".to_vec()));
        let why = Material::read(&garbage).unwrap_err();
        assert!(why.contains(entry.as_str()), "{entry}: {why}");
    }
    let mut mixed = data.clone();
    let other = Material::make(&webhook(), start()).unwrap();
    mixed.insert(
        SERVING_KEY.to_owned(),
        ByteString(other.serving_key.into_bytes()),
    );
    let why = Material::read(&mixed).unwrap_err();
    assert!(why.contains("does not fit"), "{why}");
}

/// No key gets into a log.
#[test]
fn debug_shows_no_key() {
    let material = Material::make(&webhook(), start()).unwrap();
    assert!(!format!("{material:?}").contains("KEY"));
}
