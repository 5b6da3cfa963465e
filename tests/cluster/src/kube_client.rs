//! A Kubernetes client that reaches the API server from outside of the bed's network.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use ebb_bed::Bed;
use ebb_bed::machine::CONTROL_PLANE;
use ebb_bed::network::{API_PORT, CONTROL_PLANE_ADDRESS};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::service_fn;

use super::sockets::Sockets;

/// An administrator's client, whose connections start in the control plane's network.
pub async fn connect(bed: &Bed) -> Result<Client> {
    let path = bed.folders().kubeconfig();
    let control_plane = Sockets::of(bed, CONTROL_PLANE)?;
    let kubeconfig =
        Kubeconfig::read_from(&path).with_context(|| format!("can't read {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let server = SocketAddr::new(CONTROL_PLANE_ADDRESS.parse()?, API_PORT);
    let connector = service_fn(move |_uri: http::Uri| {
        let control_plane = control_plane.clone();
        async move { control_plane.connect(server).await.map(TokioIo::new) }
    });
    let https = config.rustls_https_connector_with_connector(connector)?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(https);
    let builder = ClientBuilder::new(http, config.default_namespace.clone());
    Ok(builder.with_layer(&config.base_uri_layer()).build())
}
