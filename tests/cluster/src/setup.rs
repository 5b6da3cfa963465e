//! The three set-ups that are compared.

use anyhow::Result;
use ebb_api::capture::Mode;
use ebb_load::Progress;
use ebb_load::kind::Mix;
use ebb_load::tally::Tally;
use ebb_sample_app::log::now_ms;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cluster::Cluster;
use crate::namespace::TestNamespace;
use crate::rolls::{deploy, roll_under_load};
use crate::web::Web;

/// How many pods are rolled.
const REPLICAS: u32 = 3;

/// The name of the application and of its policy.
pub const NAME: &str = "web";

/// What is done against the loss of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// Nothing.
    Plain,
    /// The usual advice: a preStop hook that sleeps.
    Sleep,
    /// A DrainPolicy.
    Ebb,
}

/// How the set-ups are compared.
#[derive(Clone)]
pub struct Comparison {
    /// Where.
    pub cluster: Cluster,
    /// How often each is rolled.
    pub rolls: usize,
    /// The capture mode that the policy names, if any.
    pub mode: Option<Mode>,
}

impl Setup {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Sleep, Self::Ebb];

    /// As a person would call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plain => "as it is",
            Self::Sleep => "preStop: sleep 5",
            Self::Ebb => "with a DrainPolicy",
        }
    }

    /// The namespace that it runs in.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Plain => "demo-plain",
            Self::Sleep => "demo-sleep",
            Self::Ebb => "demo-ebb",
        }
    }

    /// Deploys the application, rolls it under load, and returns what came of the requests. Only
    /// the application with a policy is left running, to be tried out. A failure says what the
    /// namespace and Ebb have to say about it.
    pub async fn measure(
        self,
        comparison: &Comparison,
        tell: impl FnMut(usize, Progress),
    ) -> Result<Tally> {
        let Comparison {
            cluster,
            rolls,
            mode,
        } = comparison;
        let began = now_ms();
        let namespace = TestNamespace::create_anew(cluster.clone(), self.namespace()).await?;
        let measured = async {
            let web = self.deploy_with(&namespace, *mode).await?;
            roll_under_load(&namespace, &web, Mix::USUAL, *rolls, tell).await
        };
        let measured = measured.await;
        if measured.is_err() {
            eprintln!("{}", namespace.failure_dump(began).await);
        } else if self != Self::Ebb {
            namespace.remove().await?;
        }
        measured
    }

    /// Deploys the application in this set-up and waits until it is ready.
    pub async fn deploy(self, namespace: &TestNamespace) -> Result<Web> {
        self.deploy_with(namespace, None).await
    }

    /// The same with a policy, where there is one, that names this capture mode.
    pub async fn deploy_with(self, namespace: &TestNamespace, mode: Option<Mode>) -> Result<Web> {
        let mut web = Web::new(NAME, &namespace.cluster.images.sample_app).replicas(REPLICAS);
        match self {
            Self::Plain => {}
            Self::Sleep => {
                web = web.container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}));
            }
            Self::Ebb => {
                let mut spec =
                    json!({"selector": {"matchLabels": {"app": NAME}}, "timeoutSeconds": 60});
                if let Some(mode) = mode {
                    spec["capture"] = json!({"mode": mode});
                }
                namespace.policy(NAME, spec).await?;
            }
        }
        let service = match mode {
            Some(Mode::NamedPorts) => web.service_by_names(),
            Some(Mode::Transparent | Mode::Redirect | Mode::Observe) | None => web.service(),
        };
        deploy(namespace, &web, &service).await?;
        Ok(web)
    }
}
