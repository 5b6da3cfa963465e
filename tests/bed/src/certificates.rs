//! The certificates, keys and kubeconfigs of the cluster, made afresh for every bed.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::folders::INSIDE;
use super::machine::NODES;
use super::network::{API_PORT, API_SERVICE_ADDRESS, CONTROL_PLANE_ADDRESS, node_address};

/// Where a machine sees a file of the certificates' folder.
pub fn inside(file: &str) -> String {
    format!("{INSIDE}/bed/config/{file}")
}

/// The address that the API server is reached at.
pub fn server() -> String {
    format!("https://{CONTROL_PLANE_ADDRESS}:{API_PORT}")
}

/// Writes all of them into `folder`.
pub fn write_all(folder: &Path) -> Result<()> {
    let ca = authority("ebb-bed-ca")?;
    write(&folder.join("ca.crt"), &ca.pem())?;

    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        API_SERVICE_ADDRESS,
        CONTROL_PLANE_ADDRESS,
        "127.0.0.1",
    ];
    issue(
        &ca,
        folder,
        "apiserver",
        &Subject::server("kube-apiserver", &names),
    )?;
    issue(
        &ca,
        folder,
        "apiserver-kubelet-client",
        &Subject::client("kube-apiserver", "system:masters"),
    )?;

    let front_proxy = authority("ebb-bed-front-proxy-ca")?;
    write(&folder.join("front-proxy-ca.crt"), &front_proxy.pem())?;
    issue(
        &front_proxy,
        folder,
        "front-proxy-client",
        &Subject::client("front-proxy", ""),
    )?;

    let accounts = KeyPair::generate()?;
    write(
        &folder.join("service-accounts.key"),
        &accounts.serialize_pem(),
    )?;
    write(
        &folder.join("service-accounts.pub"),
        &accounts.public_key_pem(),
    )?;

    let clients = [
        ("admin", "admin", "system:masters"),
        ("controller-manager", "system:kube-controller-manager", ""),
        ("scheduler", "system:kube-scheduler", ""),
        ("kube-proxy", "system:kube-proxy", ""),
    ];
    for (file, name, group) in clients {
        write_kubeconfig(&ca, folder, file, &Subject::client(name, group))?;
    }
    for (index, node) in NODES.iter().enumerate() {
        let address = node_address(index);
        issue(
            &ca,
            folder,
            &format!("{node}.kubelet"),
            &Subject::server(node, &[node, &address]),
        )?;
        let subject = Subject::client(&format!("system:node:{node}"), "system:nodes");
        write_kubeconfig(&ca, folder, node, &subject)?;
    }
    Ok(())
}

/// Writes the certificate and key of a server that has these names (`server.crt`, `server.key`)
/// into `folder`, with that of an authority of its own (`ca.crt`).
pub fn write_server(folder: &Path, names: &[&str]) -> Result<()> {
    let ca = authority("ebb-test-ca")?;
    write(&folder.join("ca.crt"), &ca.pem())?;
    issue(&ca, folder, "server", &Subject::server("server", names))
}

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Whom a certificate names, and for which side of a connection.
struct Subject {
    common_name: String,
    group: String,
    alternative_names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
}

struct Issued {
    certificate: String,
    key: String,
}

// === impl Subject ===

impl Subject {
    fn server(common_name: &str, names: &[&str]) -> Self {
        Self {
            common_name: common_name.to_owned(),
            group: String::new(),
            alternative_names: names.iter().map(|&name| name.to_owned()).collect(),
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    fn client(common_name: &str, group: &str) -> Self {
        Self {
            common_name: common_name.to_owned(),
            group: group.to_owned(),
            alternative_names: Vec::new(),
            usage: ExtendedKeyUsagePurpose::ClientAuth,
        }
    }
}

fn authority(name: &str) -> Result<Authority> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(CertifiedIssuer::self_signed(
        parameters,
        KeyPair::generate()?,
    )?)
}

fn sign(authority: &Authority, subject: &Subject) -> Result<Issued> {
    // Names that are addresses become address entries.
    let mut parameters = CertificateParams::new(subject.alternative_names.clone())?;
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    if !subject.group.is_empty() {
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, &subject.group);
    }
    parameters
        .distinguished_name
        .push(DnType::CommonName, &subject.common_name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![subject.usage.clone()];
    // Python 3.13 and later believe no certificate without it.
    parameters.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, authority)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn issue(authority: &Authority, folder: &Path, file: &str, subject: &Subject) -> Result<()> {
    let issued = sign(authority, subject)?;
    write(&folder.join(format!("{file}.crt")), &issued.certificate)?;
    write(&folder.join(format!("{file}.key")), &issued.key)
}

fn write_kubeconfig(
    authority: &Authority,
    folder: &Path,
    file: &str,
    subject: &Subject,
) -> Result<()> {
    let issued = sign(authority, subject)?;
    let encoded = |text: &str| STANDARD.encode(text);
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ebb", "cluster": {
            "server": server(),
            "certificate-authority-data": encoded(&authority.pem()),
        }}],
        "users": [{"name": file, "user": {
            "client-certificate-data": encoded(&issued.certificate),
            "client-key-data": encoded(&issued.key),
        }}],
        "contexts": [{"name": "ebb", "context": {"cluster": "ebb", "user": file}}],
        "current-context": "ebb",
    });
    write(
        &folder.join(format!("{file}.kubeconfig")),
        &serde_json::to_string_pretty(&config)?,
    )
}

fn write(path: &PathBuf, content: &str) -> Result<()> {
    use std::io::Write as _;

    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("can't write {}", path.display()))
}
