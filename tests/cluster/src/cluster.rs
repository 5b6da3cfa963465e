//! A client of the bed's cluster, as an administrator.

use anyhow::Result;
use ebb_bed::Bed;
use ebb_bed::image::{self, Images};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use tokio::sync::OnceCell;

use super::kube_client;

/// The images of this process: those that were built last when it began. Others that are built
/// meanwhile are not on the nodes.
static IMAGES: OnceCell<Images> = OnceCell::const_new();

/// The bed's cluster, with our images.
#[derive(Clone)]
pub struct Cluster {
    /// The bed.
    pub bed: Bed,
    /// A client.
    pub client: Client,
    /// The images to run.
    pub images: Images,
}

impl Cluster {
    /// The cluster that runs.
    ///
    /// # Errors
    ///
    /// Says how to bring the cluster up, or how to build the images, where they are missing.
    pub async fn attach(bed: Bed) -> Result<Self> {
        Ok(Self {
            client: kube_client::connect(&bed).await?,
            images: IMAGES
                .get_or_try_init(async || image::current())
                .await?
                .clone(),
            bed,
        })
    }

    /// The objects of one kind in one namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Runs kubectl and returns what it prints: for what a user would type, and sees.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.run(Bed::kubectl, arguments).await
    }

    /// Runs helm and returns what it prints.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.run(Bed::helm, arguments).await
    }

    async fn run(
        &self,
        program: fn(&Bed, &[&str]) -> Result<String>,
        arguments: &[&str],
    ) -> Result<String> {
        let bed = self.bed.clone();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        tokio::task::spawn_blocking(move || {
            program(
                &bed,
                &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        })
        .await?
    }
}
