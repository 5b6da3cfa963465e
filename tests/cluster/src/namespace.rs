//! A namespace for one test, and what there is to say when it fails.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use ebb_api::policy::{DrainPolicy, DrainPolicySpec};
use ebb_bed::Bed;
use ebb_sample_app::log::now_ms;
use futures::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::inside::{MACHINE, spawn_inside};
use super::installation;
use crate::eventually;

/// The longest that one test may take. None comes near it; a wait that has no end of its own must
/// not hold a whole run.
const LONGEST: Duration = Duration::from_secs(420);

/// How long a new policy may take to be in force.
const IN_FORCE: Duration = Duration::from_secs(20);

/// How long a namespace may take to be removed.
const REMOVED: Duration = Duration::from_secs(60);

/// Keeps the namespaces of failed tests, to look at them.
const KEEP_VARIABLE: &str = "EBB_KEEP_FAILED";

/// The capture mode of every policy that does not say one itself.
const MODE_VARIABLE: &str = "EBB_CAPTURE_MODE";

/// Tests that share the cluster hold it for reading; one that disturbs all of it, for writing.
static CLUSTER: RwLock<()> = RwLock::new(());

/// A namespace on the cluster that belongs to one test.
#[derive(Clone)]
pub struct TestNamespace {
    /// The cluster.
    pub cluster: Cluster,
    /// Its name.
    pub name: String,
}

/// Runs a test that leaves the rest of the cluster as it is, in parallel with others.
///
/// # Panics
///
/// When the test fails, after having printed what its namespace and Ebb have to say.
pub fn in_parallel<F>(name: &'static str, test: F)
where
    F: AsyncFnOnce(&TestNamespace) -> Result<()> + Send + 'static,
{
    let _shared = CLUSTER.read().unwrap_or_else(PoisonError::into_inner);
    run(name, test);
}

/// Runs a test that disturbs all of the cluster, or that needs the whole machine, while no other
/// runs.
///
/// # Panics
///
/// As [`in_parallel`].
pub fn exclusive<F>(name: &'static str, test: F)
where
    F: AsyncFnOnce(&TestNamespace) -> Result<()> + Send + 'static,
{
    let _own = CLUSTER.write().unwrap_or_else(PoisonError::into_inner);
    run(name, test);
}

fn run<F>(name: &'static str, test: F)
where
    F: AsyncFnOnce(&TestNamespace) -> Result<()> + Send + 'static,
{
    let work = move |bed: Bed| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(run_on(bed, name, test))
        }
    };
    let joined = Bed::attach()
        .context("this test needs the cluster")
        .and_then(|bed| spawn_inside(&bed.clone(), MACHINE, work(bed)))
        .and_then(|thread| {
            thread
                .join()
                .map_err(|_| anyhow!("the harness itself panicked"))?
        });
    if let Err(error) = joined {
        panic!("{name}: {error:#}");
    }
}

async fn run_on<F>(bed: Bed, name: &str, test: F) -> Result<()>
where
    F: AsyncFnOnce(&TestNamespace) -> Result<()>,
{
    let cluster = Cluster::attach(bed).await?;
    installation::ensure_installed(&cluster).await?;
    let namespace = TestNamespace::create(cluster, name).await?;
    let began = now_ms();
    let outcome = AssertUnwindSafe(tokio::time::timeout(LONGEST, test(&namespace)))
        .catch_unwind()
        .await;
    let result = match outcome {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow!("not done after {LONGEST:?}")),
        Err(panic) => Err(anyhow!("{}", panic_message(panic.as_ref()))),
    };
    if result.is_err() {
        eprintln!("{}", namespace.failure_dump(began).await);
        if std::env::var_os(KEEP_VARIABLE).is_some() {
            eprintln!("the namespace {} is kept", namespace.name);
            return result;
        }
    }
    namespace.remove().await?;
    result
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".to_owned())
}

// === impl TestNamespace ===

impl TestNamespace {
    /// Makes a namespace whose name begins with `prefix`.
    pub async fn create(cluster: Cluster, prefix: &str) -> Result<Self> {
        let object = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
        let made = namespaces.create(&PostParams::default(), &object).await?;
        let name = made.metadata.name.context("a namespace without a name")?;
        let namespace = Self { cluster, name };
        namespace.wait_until_usable().await?;
        Ok(namespace)
    }

    /// Makes the namespace that is called exactly `name`, anew if it is there.
    pub async fn create_anew(cluster: Cluster, name: &str) -> Result<Self> {
        let namespace = Self {
            cluster,
            name: name.to_owned(),
        };
        let namespaces: Api<Namespace> = Api::all(namespace.cluster.client.clone());
        if namespaces.get_opt(name).await?.is_some() {
            namespace.remove().await?;
        }
        let object = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        eventually(
            &format!("the old namespace {name} to go"),
            REMOVED,
            async || {
                namespaces
                    .create(&PostParams::default(), &object)
                    .await
                    .map_err(anyhow::Error::from)
            },
        )
        .await?;
        namespace.wait_until_usable().await?;
        Ok(namespace)
    }

    /// Pods are refused until the namespace's service account is there.
    async fn wait_until_usable(&self) -> Result<()> {
        let accounts = self.api::<ServiceAccount>();
        eventually("the default service account", IN_FORCE, async || {
            accounts.get("default").await.map(drop).map_err(Into::into)
        })
        .await
    }

    /// The objects of one kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        self.cluster.api(&self.name)
    }

    /// Makes an object.
    pub async fn create_object<K>(&self, object: &K) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        let made = self.api::<K>().create(&PostParams::default(), object).await;
        made.with_context(|| format!("can't make a {}", K::kind(&())))
    }

    /// Makes a policy from its spec, and waits until it is in force.
    pub async fn policy(&self, name: &str, mut spec: Value) -> Result<DrainPolicy> {
        if let Ok(mode) = std::env::var(MODE_VARIABLE)
            && spec.get("capture").is_none()
        {
            spec["capture"] = json!({"mode": mode});
        }
        let spec: DrainPolicySpec =
            serde_json::from_value(spec).context("not a DrainPolicy's spec")?;
        self.create_object(&DrainPolicy::new(name, spec)).await?;
        self.policy_in_force(name).await
    }

    /// Waits until the policy's status is about its present spec, and it is in force.
    pub async fn policy_in_force(&self, name: &str) -> Result<DrainPolicy> {
        let policies = self.api::<DrainPolicy>();
        eventually(
            &format!("the policy {name} to be in force"),
            IN_FORCE,
            async || {
                let policy = policies.get(name).await?;
                let status = policy.status.clone().context("it has no status")?;
                if status.observed_generation != policy.metadata.generation {
                    bail!(
                        "the status is about generation {:?}",
                        status.observed_generation
                    );
                }
                let ready = status
                    .conditions
                    .iter()
                    .find(|condition| condition.type_ == "Ready");
                match ready {
                    Some(condition) if condition.status == "True" => Ok(policy),
                    other => bail!("Ready is {other:?}"),
                }
            },
        )
        .await
    }

    /// Runs kubectl in this namespace and returns what it prints.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let arguments: Vec<&str> = ["-n", &self.name]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        self.cluster.kubectl(&arguments).await
    }

    /// Removes the namespace. Its pods go at once: no test is about their end any more.
    pub async fn remove(&self) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        self.api::<Pod>()
            .delete_collection(&at_once, &ListParams::default())
            .await?;
        let namespaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        namespaces
            .delete(&self.name, &DeleteParams::background())
            .await?;
        Ok(())
    }

    /// All that the namespace and Ebb have to say, for a person who asks why a test failed.
    pub async fn failure_dump(&self, since_ms: u64) -> String {
        let seconds = now_ms().saturating_sub(since_ms) / 1000 + 5;
        let since = format!("--since={seconds}s");
        let mut text = String::new();
        for arguments in [
            &["get", "all,drainpolicies,endpointslices", "-o", "wide"][..],
            &["describe", "drainpolicies,pods"],
            &["events"],
        ] {
            text += &said(arguments, self.kubectl(arguments).await);
        }
        let pods = self
            .api::<Pod>()
            .list_metadata(&ListParams::default())
            .await;
        for pod in pods.map(|list| list.items).unwrap_or_default() {
            let name = pod.metadata.name.unwrap_or_default();
            let arguments = ["logs", &name, "--all-containers", "--prefix", "--tail=200"];
            text += &said(&arguments, self.kubectl(&arguments).await);
        }
        let controller = [
            "-n",
            installation::NAMESPACE,
            "logs",
            "-l",
            installation::SELECTOR,
            &since,
            "--tail=300",
        ];
        text += &said(&controller, self.cluster.kubectl(&controller).await);
        text
    }
}

fn said(arguments: &[&str], result: Result<String>) -> String {
    let said = result.unwrap_or_else(|error| format!("{error:#}"));
    format!("--- kubectl {}\n{said}\n", arguments.join(" "))
}
