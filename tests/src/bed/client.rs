//! A Kubernetes client that reaches the API server from outside of the bed's network.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::service_fn;

use super::folders::Folders;
use super::namespace::Namespace;
use super::network::CONTROL_PLANE_ADDRESS;

/// The port of the API server.
pub const API_PORT: u16 = 6443;

/// An administrator's client whose connections start in `control_plane`.
pub async fn connect(folders: &Folders, control_plane: Namespace) -> Result<Client> {
    let path = folders.kubeconfig();
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
