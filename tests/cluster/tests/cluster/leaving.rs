//! One pod that is going to leave, with all that a test about its leaving begins with: the policy
//! in force, the pod ready and injected, another endpoint of its Service, its log followed, and its
//! clients at work.
//!
//! ```text
//!  Leaving::of(namespace, policy).idle_client().request("/slow?seconds=20").ready()
//!      -> LeavingPod: delete(), answer(), drain()
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ebb_api::report::{Drain, FinalReport};
use ebb_cluster::client::{Answer, Client};
use ebb_cluster::namespace::TestNamespace;
use ebb_cluster::pods::{self, PodRecord, PodRecorder};
use ebb_cluster::web::{HTTP_PORT, Web};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::fixtures::{delete, in_flight, injected_pod, policy, request_of, web};

/// How long an idle client's one request may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What is wanted.
#[must_use = "ready() makes it"]
pub(crate) struct Leaving<'a> {
    namespace: &'a TestNamespace,
    policy: Value,
    web: Web,
    idle_clients: usize,
    requests: Vec<String>,
}

/// The pod, when all of it is there.
pub(crate) struct LeavingPod<'a> {
    namespace: &'a TestNamespace,
    name: String,
    /// As it was when it was ready.
    pub(crate) pod: Pod,
    /// Keeps what is seen of it.
    pub(crate) recorder: PodRecorder,
    /// The clients of its requests, in their order.
    pub(crate) clients: Vec<Client>,
    /// Connected, and served once.
    _idle_clients: Vec<Client>,
}

// === impl Leaving ===

impl<'a> Leaving<'a> {
    /// The sample application as `web`, under a policy with these fields beside the selector.
    pub(crate) fn of(namespace: &'a TestNamespace, policy: Value) -> Self {
        Self {
            namespace,
            policy,
            web: web(namespace, "web"),
            idle_clients: 0,
            requests: Vec::new(),
        }
    }

    /// With another application; its policy and all its objects have its name.
    pub(crate) fn app(mut self, web: Web) -> Self {
        self.web = web;
        self
    }

    /// With a client that was served once and keeps its connection.
    pub(crate) fn idle_client(mut self) -> Self {
        self.idle_clients += 1;
        self
    }

    /// With a POST in flight.
    pub(crate) fn request(mut self, path: &str) -> Self {
        self.requests.push(path.to_owned());
        self
    }

    /// Makes it all, in this order, and waits for each part.
    pub(crate) async fn ready(self) -> Result<LeavingPod<'a>> {
        let (namespace, name) = (self.namespace, self.web.name.clone());
        policy(namespace, &name, self.policy).await?;
        let companion = self.web.companion();
        namespace.create_object(&companion.bare_pod()).await?;
        let pod = injected_pod(namespace, &self.web).await?;
        pods::ready(namespace, &companion.name).await?;
        let recorder = PodRecorder::of(namespace, &name, &["app", "ebb"]).await?;
        let mut idle_clients = Vec::new();
        for _ in 0..self.idle_clients {
            let mut idle = Client::connect(pods::address(&pod, HTTP_PORT)?).await?;
            idle.request("GET", "/whoami").await?;
            idle.read_until(&format!("{name}\n"), ANSWER).await?;
            idle_clients.push(idle);
        }
        let mut leaving = LeavingPod {
            namespace,
            name,
            pod,
            recorder,
            clients: Vec::new(),
            _idle_clients: idle_clients,
        };
        for path in &self.requests {
            leaving.request(path).await?;
        }
        Ok(leaving)
    }
}

// === impl LeavingPod ===

impl LeavingPod<'_> {
    /// The address of one of its ports.
    pub(crate) fn address(&self, port: u16) -> Result<SocketAddr> {
        pods::address(&self.pod, port)
    }

    /// Sends another POST, and waits until it is in flight.
    pub(crate) async fn request(&mut self, path: &str) -> Result<()> {
        self.clients.push(request_of(&self.pod, path).await?);
        in_flight(&self.pod, self.clients.len() as u64)
            .await
            .map(drop)
    }

    /// Deletes it, as a rollout does: kubelet ends it in its own time.
    pub(crate) async fn delete(&self) -> Result<()> {
        delete(self.namespace, &self.name).await
    }

    /// The whole answer to the first request, which is to `/slow` and has to succeed.
    pub(crate) async fn answer(&mut self, limit: Duration) -> Result<Answer> {
        let client = self.clients.first_mut().context("no request was made")?;
        let answer = client
            .read_until(&format!("slow hello from {}\n", self.name), limit)
            .await?;
        assert!(
            answer.text.starts_with("HTTP/1.1 200 OK"),
            "{}",
            answer.text
        );
        Ok(answer)
    }

    /// Waits until it is gone, and returns how it was last seen.
    pub(crate) async fn gone(&mut self, limit: Duration) -> Result<PodRecord> {
        self.recorder.gone(limit).await
    }

    /// Waits until it is gone, and returns what its final report says of the drain.
    pub(crate) async fn drain(&mut self, limit: Duration) -> Result<Drain> {
        let FinalReport { drain, .. } = self.gone(limit).await?.final_report()?;
        drain.context("no drain was reported")
    }
}
