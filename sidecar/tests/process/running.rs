//! A sidecar that runs in this process, and what tests say to it.

use crate::app::App;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ebb_api::bootstrap::{AppContainer, Bootstrap, ConnectingProbe, OwnHook, ProbeKind};
use ebb_api::connections::ConnectionSettings;
use ebb_api::desired::{Desired, Endpoints, Leave, Revision, Services};
use ebb_api::phase::Trigger;
use ebb_api::report::{FinalReport, Report};
use ebb_api::settings::{DeregistrationSettings, Settings};
use ebb_netns::bootstrap;
pub(crate) use ebb_netns::bootstrap::TOKEN;
use ebb_sidecar::{app, config::Config};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(crate) const UID: &str = "9c0c1d2e-0000-4000-8000-000000000001";

/// Everything must happen within this, or the test says what did not.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Sidecar {
    pub(crate) admin: SocketAddr,
    pub(crate) relay: SocketAddr,
    pub(crate) app: App,
    pub(crate) key: Ed25519KeyPair,
    pub(crate) settings: Settings,
    pub(crate) counter: u64,
    termination: PathBuf,
    sigterm: Option<oneshot::Sender<()>>,
    task: JoinSet<anyhow::Result<()>>,
}

/// An answer: its status and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A policy with a short lame-duck phase.
pub(crate) fn quick(timeout_seconds: u32) -> Settings {
    let short = bootstrap::short(timeout_seconds);
    Settings {
        deregistration: DeregistrationSettings {
            max_seconds: 3,
            ..short.deregistration
        },
        connections: ConnectionSettings::default(),
        ..short
    }
}

impl Sidecar {
    pub(crate) async fn start(settings: Settings) -> Sidecar {
        Sidecar::with_own_hook(settings, |_| None).await
    }

    /// `own_hook` is the preStop hook that the app brought along, given the app's address.
    pub(crate) async fn with_own_hook(
        settings: Settings,
        own_hook: impl FnOnce(SocketAddr) -> Option<OwnHook>,
    ) -> Sidecar {
        Sidecar::launch(settings, own_hook, 0).await
    }

    /// The relay listens on `relay_port` as soon as it can: 0 is any free port.
    pub(crate) async fn at_relay_port(relay_port: u16) -> Sidecar {
        Sidecar::launch(quick(60), |_| None, relay_port).await
    }

    async fn launch(
        settings: Settings,
        own_hook: impl FnOnce(SocketAddr) -> Option<OwnHook>,
        relay_port: u16,
    ) -> Sidecar {
        let app = App::start().await;
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let bootstrap = Bootstrap {
            grace_seconds: 120,
            key: "key-1".to_owned(),
            public_key: BASE64_STANDARD.encode(key.public_key()),
            containers: vec![AppContainer {
                name: "web".to_owned(),
                ports: vec![app.address.port()],
                probes: vec![ConnectingProbe {
                    port: app.address.port(),
                    period_seconds: 60,
                    kind: ProbeKind::Grpc,
                }],
                restart_grace_seconds: None,
                own_hook: own_hook(app.address),
            }],
            ..bootstrap::of(settings.clone())
        };
        let bootstrap = serde_json::to_string(&bootstrap).unwrap();
        let mut config = Config::read(|name| match name {
            ebb_api::names::BOOTSTRAP_VARIABLE => Some(bootstrap.clone()),
            ebb_api::names::POD_UID_VARIABLE => Some(UID.to_owned()),
            _ => None,
        });
        assert_eq!(config.complaint, None);
        let name = format!(
            "ebb-termination-{}-{}",
            std::process::id(),
            app.address.port()
        );
        config.termination = std::env::temp_dir().join(name);
        config.relay_port = relay_port;
        config.admin_port = 0;
        config.only_destination = Some(app.address);
        let termination = config.termination.clone();
        let bound = app::bind(config).await;
        let local = |port: u16| -> SocketAddr { (Ipv4Addr::LOCALHOST, port).into() };
        let admin = local(bound.admin_address().unwrap().port());
        let relay = bound.relay_address();
        let relay = local(relay.map_or(relay_port, |address| address.port()));
        let (sigterm, told) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(bound.run(async {
            if told.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Sidecar {
            admin,
            relay,
            app,
            key,
            settings,
            counter: 0,
            termination,
            sigterm: Some(sigterm),
            task,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(
            self.admin,
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await
    }

    /// Calls a hook as kubelet does; the answer comes when it is released.
    pub(crate) fn hook(&self, container: &str) -> impl Future<Output = Answer> + use<> {
        let request = format!(
            "GET /hook/{container} HTTP/1.1\r\nhost: x\r\nebb-token: {TOKEN}\r\nuser-agent: kube-lifecycle/1.35\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        let admin = self.admin;
        async move { call(admin, &request).await }
    }

    /// Calls the hooks of both containers, as kubelet does when the pod goes.
    pub(crate) fn call_hooks(&self) -> JoinSet<Answer> {
        let mut hooks = JoinSet::new();
        hooks.spawn(self.hook("web"));
        hooks.spawn(self.hook("ebb"));
        hooks
    }

    /// The same, and the pod is leaving.
    pub(crate) async fn leave(&self) -> JoinSet<Answer> {
        let hooks = self.call_hooks();
        self.until("leaving", |report| report.leaving.is_some())
            .await;
        hooks
    }

    pub(crate) async fn report(&self) -> Report {
        serde_json::from_str(&self.get("/v1/status").await.body).unwrap()
    }

    /// What the controller would put next.
    pub(crate) async fn desired(&mut self, leave: bool, endpoints: Endpoints) -> Desired {
        self.counter += 1;
        Desired {
            pod: UID.to_owned(),
            boot: self.report().await.boot,
            revision: Revision::new(1, self.counter),
            settings: self.settings.clone(),
            leave: leave.then_some(Leave {
                trigger: Trigger::Deleted,
                grace_seconds: None,
            }),
            endpoints,
            services: Services::default(),
        }
    }

    pub(crate) async fn put(&self, desired: &Desired) -> Answer {
        let body = serde_json::to_string(desired).unwrap();
        let signature = BASE64_STANDARD.encode(self.key.sign(body.as_bytes()));
        self.put_raw("key-1", &signature, &body).await
    }

    pub(crate) async fn put_raw(&self, key: &str, signature: &str, body: &str) -> Answer {
        let length = body.len();
        call(
            self.admin,
            &format!(
                "PUT /v1/desired HTTP/1.1\r\nhost: x\r\nconnection: close\r\nebb-key: {key}\r\nebb-signature: {signature}\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        )
        .await
    }

    /// Sends a request through the relay; the answer comes as the app gives it.
    pub(crate) fn request(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        let relay = self.relay;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        async move { call(relay, &request).await }
    }

    /// Sends a request through the relay that the app has now; its answer comes as the app gives
    /// it.
    pub(crate) async fn in_flight(&mut self, path: &str) -> JoinSet<Answer> {
        let mut client = JoinSet::new();
        client.spawn(self.request(path));
        assert_eq!(self.reached().await, path);
        client
    }

    /// The next request that reaches the app.
    pub(crate) async fn reached(&mut self) -> String {
        within("a request at the app", self.app.requests.recv())
            .await
            .unwrap()
    }

    /// Waits until the status says so.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Report) -> bool) -> Report {
        let poll = async {
            loop {
                let report = self.report().await;
                if so(&report) {
                    return report;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(what, poll).await
    }

    /// SIGTERM, then the end of the process and its last words.
    pub(crate) async fn end(mut self) -> FinalReport {
        self.tell_to_end();
        self.ended().await;
        self.last_words()
    }

    pub(crate) async fn ended(&mut self) {
        let ended = within("the end of the process", self.task.join_next()).await;
        ended.unwrap().unwrap().unwrap();
    }

    pub(crate) fn tell_to_end(&mut self) {
        self.sigterm.take().unwrap().send(()).unwrap();
    }

    pub(crate) fn last_words(&self) -> FinalReport {
        serde_json::from_slice(&std::fs::read(&self.termination).unwrap()).unwrap()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.termination);
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// Sends bytes and reads an HTTP/1 answer to the end of the connection.
pub(crate) async fn call(address: SocketAddr, request: &str) -> Answer {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let text = within("an answer", talk).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no HTTP answer: {text:?}")),
        body: body.to_owned(),
    }
}
