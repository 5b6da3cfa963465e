//! How connections get to the sidecar, in real pods.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use ebb_api::capture::Mode;
use ebb_api::report::Protocol;
use ebb_bed::certificates;
use ebb_cluster::client::Client;
use ebb_cluster::eventually;
use ebb_cluster::namespace::{TestNamespace, in_parallel};
use ebb_cluster::pods;
use ebb_cluster::rolls::service_target;
use ebb_cluster::web::HTTP_PORT;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::debian;
use crate::fixtures::{SOON, any_pod, injected_pod, policy, protected, web};
use crate::processes::inside;

/// Asks a pod in this mode who its client is: whom the app has seen, and who that is in truth.
async fn seen(namespace: &TestNamespace, mode: &str, in_force: Mode) -> Result<(String, String)> {
    policy(namespace, "web", json!({"capture": {"mode": mode}})).await?;
    let pod = injected_pod(namespace, &web(namespace, "web")).await?;
    assert_eq!(pods::report(&pod).await?.mode, in_force);
    protected(namespace, "web", "AllProtected").await?;
    ask_for_peer(pods::address(&pod, HTTP_PORT)?).await
}

/// Whom the app at this address has seen, and who that is in truth.
async fn ask_for_peer(address: SocketAddr) -> Result<(String, String)> {
    let mut client = Client::connect(address).await?;
    let own = client.local_addr()?.to_string();
    // The application ends the line with a dot, so that it is known to be whole.
    client.request("GET", "/peer").await?;
    let answer = client.read_until(".\n", SOON).await?.text;
    let (_, seen) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok((seen.trim_end_matches(".\n").to_owned(), own))
}

/// The sidecar is a user without privileges, and has what it needs from its program's file: it is
/// in the mode Transparent where nothing else is asked for, and the app sees its client.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn the_app_sees_its_clients() {
    in_parallel("transparent", async |namespace| {
        let (seen, own) = seen(namespace, "Auto", Mode::Transparent).await?;
        assert_eq!(seen, own);
        Ok(())
    });
}

/// The name in the certificate of [`TLS_SERVER`].
const TLS_NAME: &str = "app.test";

/// Where [`TLS_SERVER`] listens.
const TLS_PORT: u16 = 8443;

/// A shell becomes httpd, which ends TLS and says who its client is, with a `>` at the end.
const TLS_SERVER: &str = r#"
echo "$CERTIFICATE" > app.crt
echo "$KEY" > app.key
cat > httpd.conf <<END
ServerRoot $PWD
ServerName app.test
PidFile httpd.pid
DefaultRuntimeDir $PWD
ErrorLog /dev/stderr
User nobody
Group nogroup
LoadModule mpm_event_module /mnt/programs/usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /mnt/programs/usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /mnt/programs/usr/lib/apache2/modules/mod_ssl.so
Listen 0.0.0.0:8443
SSLEngine on
SSLCertificateFile app.crt
SSLCertificateKeyFile app.key
ErrorDocument 404 "%{REMOTE_ADDR}:%{REMOTE_PORT}>"
END
exec /mnt/programs/usr/sbin/apache2 -DFOREGROUND -f $PWD/httpd.conf
"#;

/// A TLS connection to [`TLS_SERVER`], whose authority has this certificate.
async fn tls(address: SocketAddr, authority: &[u8]) -> Result<TlsStream<TcpStream>> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(authority)?)?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(TLS_NAME)?;
    Ok(timeout(SOON, connector.connect(name, stream)).await??)
}

/// A server that ends TLS itself sees the pod that its client is in: the relay passes on what it
/// can't read from the address that it came from.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_server_of_tls_sees_the_pod_of_its_client() {
    debian::fetch();
    in_parallel("tls", async |namespace| {
        let folder = tempfile::tempdir()?;
        certificates::write_server(folder.path(), &[TLS_NAME])?;
        let read = |name: &str| fs::read_to_string(folder.path().join(name));
        policy(namespace, "web", json!({"capture": {"mode": "Auto"}})).await?;
        let server = debian::server(namespace, "web", TLS_SERVER, TLS_PORT)
            .variable("CERTIFICATE", &read("server.crt")?)
            .variable("KEY", &read("server.key")?);
        let pod = injected_pod(namespace, &server).await?;
        let client = any_pod(namespace, &web(namespace, "client")).await?;

        let (address, authority) = (pods::address(&pod, TLS_PORT)?, read("ca.crt")?);
        let asked = pod.clone();
        let (own, seen, report) = inside(&client, async move || {
            let mut stream = tls(address, authority.as_bytes()).await?;
            let own = stream.get_ref().0.local_addr()?;
            let request = format!("GET / HTTP/1.1\r\nhost: {TLS_NAME}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b">") {
                let read = timeout(SOON, stream.read_buf(&mut answer)).await??;
                ensure!(read > 0, "{:?}", String::from_utf8_lossy(&answer));
            }
            // The connection is still open.
            let report = pods::report(&asked).await?;
            Ok((own, String::from_utf8(answer)?, report))
        })
        .await?;
        assert_eq!(own.ip(), pods::address(&client, TLS_PORT)?.ip());
        let (_, seen) = seen.split_once("\r\n\r\n").context("no answer")?;
        assert_eq!(seen, format!("{own}>"));
        assert_eq!(report.mode, Mode::Transparent);
        let relayed = report.now.connections.get(&Protocol::Tls);
        assert_eq!((relayed, report.now.bypassing), (Some(&1), 0), "{report:?}");
        Ok(())
    });
}

/// A mode that a policy names is the one that its pods get.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_mode_that_is_named_is_honored() {
    in_parallel("redirect", async |namespace| {
        let (seen, own) = seen(namespace, "Redirect", Mode::Redirect).await?;
        assert_ne!(seen, own);
        Ok(())
    });
    in_parallel("observe", async |namespace| {
        let (seen, own) = seen(namespace, "Observe", Mode::Observe).await?;
        assert_eq!(seen, own);
        Ok(())
    });
}

/// Where the Pod Security level allows nothing more, a policy may ask for the names of the pods'
/// ports: clients of a Service that names its ports pass the sidecar, which takes no privilege.
#[test]
#[ignore = "needs the cluster: cargo xtask test"]
fn a_service_that_names_its_ports_finds_the_sidecar() {
    in_parallel("named-ports", async |namespace| {
        policy(namespace, "web", json!({"capture": {"mode": "NamedPorts"}})).await?;
        let web = web(namespace, "web");
        namespace.create_object(&web.service_by_names()).await?;
        namespace.create_object(&web.bare_pod()).await?;
        let pod = pods::ready(namespace, "web").await?;
        assert_eq!(pods::report(&pod).await?.mode, Mode::NamedPorts);
        protected(namespace, "web", "AllProtected").await?;
        let service = service_target(namespace, &web).await?.address();
        let (seen, own) = eventually("the Service to lead to the pod", SOON, async || {
            ask_for_peer(service).await
        })
        .await?;
        assert_ne!(seen, own, "the sidecar was not in the way");
        let report = pods::report(&pod).await?;
        ensure!(report.now.bypassing == 0, "{report:?}");
        Ok(())
    });
}
