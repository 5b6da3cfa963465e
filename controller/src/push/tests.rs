//! Pushes to real HTTP servers on loopback that keep the sidecar's side of the contract.

use super::*;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use ebb_api::capture::Mode;
use ebb_api::desired::{Conflict, Desired, Endpoints, Leave, Revision, Services, Signed};
use ebb_api::phase::{Phase, Trigger};
use ebb_api::report::Census;
use ebb_api::settings::Settings;
use ebb_model::views::Seen;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long anything may take here; all of it is on loopback.
const SOON: Duration = Duration::from_secs(10);

/// The term that these tests lead in.
const TERM: u64 = 3;

struct Initials;

impl Sign for Initials {
    fn sign(&self, key: &str, _body: &[u8]) -> Option<String> {
        (key == "k1").then(|| "signed".to_owned())
    }

    fn has_signed(&self, key: &str, _body: &[u8], signature: &str) -> bool {
        key == "k1" && signature == "signed"
    }
}

/// The sidecar's side: a boot, a revision, and what it has taken.
#[derive(Debug)]
struct Standing {
    now: Mutex<(String, Revision)>,
    /// What it shows to a sender of an earlier term.
    accepted: Mutex<Option<Signed>>,
    taken: watch::Sender<Vec<Desired>>,
}

impl Standing {
    fn report(&self, phase: Phase) -> Report {
        let (boot, revision) = self.now.lock().unwrap().clone();
        Report {
            pod: "p1".to_owned(),
            boot,
            revision,
            mode: Mode::Redirect,
            steps: Vec::new(),
            phase,
            leaving: None,
            now: Census::default(),
            memory: None,
            refused_hooks: 0,
            last: None,
        }
    }

    async fn taken(&self, count: usize) -> Vec<Desired> {
        let mut taken = self.taken.subscribe();
        let enough = taken.wait_for(|taken| taken.len() >= count);
        let enough = tokio::time::timeout(SOON, enough).await;
        enough.expect("nothing more was put").unwrap().clone()
    }
}

async fn put_desired(
    State(standing): State<Arc<Standing>>,
    Json(desired): Json<Desired>,
) -> Response {
    let mut now = standing.now.lock().unwrap();
    if desired.boot != now.0 || desired.revision <= now.1 {
        let (boot, revision) = now.clone();
        let conflict = Conflict {
            boot,
            revision,
            accepted: standing.accepted.lock().unwrap().clone(),
        };
        return (StatusCode::CONFLICT, Json(conflict)).into_response();
    }
    now.1 = desired.revision;
    standing.taken.send_modify(|taken| taken.push(desired));
    StatusCode::NO_CONTENT.into_response()
}

async fn status(State(standing): State<Arc<Standing>>, uri: Uri) -> Response {
    if uri.query() != Some("watch=true") {
        return Json(standing.report(Phase::Serving)).into_response();
    }
    let lines = [Phase::Deregistering, Phase::Draining]
        .map(|phase| serde_json::to_string(&standing.report(phase)).unwrap() + "\n");
    lines.concat().into_response()
}

/// Serves until the test ends.
async fn sidecar(servers: &mut JoinSet<()>, boot: &str) -> (SocketAddr, Arc<Standing>) {
    let standing = Arc::new(Standing {
        now: Mutex::new((boot.to_owned(), Revision::default())),
        accepted: Mutex::default(),
        taken: watch::Sender::default(),
    });
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/desired", put(put_desired))
        .with_state(Arc::clone(&standing));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    servers.spawn(async { axum::serve(listener, router).await.unwrap() });
    (address, standing)
}

fn wanted(address: SocketAddr) -> Wanted {
    Wanted {
        address,
        pod: "p1".to_owned(),
        namespace: "shop".to_owned(),
        name: "web-1".to_owned(),
        key: "k1".to_owned(),
        restarts: 0,
        settings: Settings::without_policy(),
        leave: None,
        endpoints: Endpoints::Present,
        services: Services::default(),
    }
}

fn leaving(address: SocketAddr) -> Wanted {
    Wanted {
        leave: Some(Leave {
            trigger: Trigger::Deleted,
            grace_seconds: Some(335),
        }),
        ..wanted(address)
    }
}

/// A running `Push`, which the test ends, with both of its ends.
fn push(tasks: &mut JoinSet<()>) -> (mpsc::Sender<Command>, mpsc::Receiver<News>) {
    let metrics = Arc::new(Metrics::register(&mut Registry::default()));
    let (tell_news, news) = mpsc::channel(64);
    let (commands, receiver) = mpsc::channel(64);
    let push = Push::new(Arc::new(Initials), Term::for_ever(TERM), metrics, tell_news);
    tasks.spawn(push.run(receiver));
    (commands, news)
}

async fn tell(commands: &mpsc::Sender<Command>, wanted: Wanted) {
    commands.send(Command::Put(Box::new(wanted))).await.unwrap();
}

async fn next(news: &mut mpsc::Receiver<News>) -> Learned {
    let next = tokio::time::timeout(SOON, news.recv()).await;
    next.expect("no news").unwrap().what
}

/// The first word to a new pod is the check that it can be reached.
#[tokio::test]
async fn a_new_sidecar_is_told_and_known_to_be_reachable() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let (commands, mut news) = push(&mut tasks);
    tell(&commands, wanted(address)).await;
    let taken = standing.taken(1).await;
    assert_eq!(
        (taken[0].boot.as_str(), taken[0].revision),
        ("b1", Revision::new(TERM, 1))
    );
    let reached = Contact::Reached {
        mode: Mode::Redirect,
        steps: Vec::new(),
        seen: Seen::default(),
    };
    assert_eq!(next(&mut news).await, Learned::Contact(reached));
}

/// A change goes out with a higher revision; what an earlier leader has put does not stand in its
/// way, nor does an attempt of this one that was given up and arrived all the same.
#[tokio::test]
async fn revisions_rise_above_what_the_sidecar_has() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    standing.now.lock().unwrap().1 = Revision::new(TERM - 1, 70);
    let (commands, _news) = push(&mut tasks);
    tell(&commands, wanted(address)).await;
    assert_eq!(standing.taken(1).await[0].revision, Revision::new(TERM, 1));
    standing.now.lock().unwrap().1 = Revision::new(TERM, 20);
    tell(&commands, leaving(address)).await;
    let taken = standing.taken(2).await;
    assert_eq!(taken[1].revision, Revision::new(TERM, 21));
    assert!(taken[1].leave.is_some());
}

/// The highest revision that there is comes from no controller; it is no reason to fall over.
#[tokio::test]
async fn a_revision_that_nothing_can_rise_above_is_contested() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    standing.now.lock().unwrap().1 = Revision::new(TERM, u64::MAX);
    let told = put::put(&Initials, &Term::for_ever(TERM), &wanted(address), None).await;
    assert!(matches!(told, Err(Failure::Contested)), "{told:?}");
}

/// What a later leader has said is never outbid, and whoever only claims that there is one deposes
/// nobody: it takes a state of a later term with a controller's signature.
#[tokio::test]
async fn a_later_leader_is_not_outbid() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let later = Revision::new(TERM + 2, 5);
    standing.now.lock().unwrap().1 = later;
    let term = Term::for_ever(TERM);
    let put = async || put::put(&Initials, &term, &wanted(address), None).await;
    let signed = |term, signature: &str| {
        let desired = Desired {
            pod: "p1".to_owned(),
            boot: "b1".to_owned(),
            revision: Revision::new(term, 5),
            settings: Settings::without_policy(),
            leave: None,
            endpoints: Endpoints::Present,
            services: Services::default(),
        };
        Some(Signed {
            body: serde_json::to_string(&desired).unwrap(),
            signature: signature.to_owned(),
        })
    };
    let claims = [
        None,
        signed(TERM + 2, "forged"),
        signed(TERM, "signed"),
        Some(Signed {
            body: "no state".to_owned(),
            signature: "signed".to_owned(),
        }),
    ];
    for claim in claims {
        *standing.accepted.lock().unwrap() = claim.clone();
        let told = put().await;
        let unproven = matches!(told, Err(Failure::Unproven(5)));
        assert!(unproven, "{claim:?}: {told:?}");
    }
    *standing.accepted.lock().unwrap() = signed(TERM + 2, "signed");
    let told = put().await;
    assert!(matches!(told, Err(Failure::Outbid(5))), "{told:?}");
    assert_eq!(standing.now.lock().unwrap().1, later);
    assert!(standing.taken.borrow().is_empty());
}

/// Whoever has lost the Lease, and may not know it yet, puts nothing any more.
#[tokio::test(start_paused = true)]
async fn nothing_is_put_when_the_term_is_over() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let term = Term::until(TERM, Instant::now());
    let told = put::put(&Initials, &term, &wanted(address), None).await;
    assert!(matches!(told, Err(Failure::Deposed)), "{told:?}");
    assert!(standing.taken.borrow().is_empty());
}

/// Another start knows nothing, even if nothing that is wanted has changed.
#[tokio::test]
async fn a_restarted_sidecar_is_told_again() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let (commands, _news) = push(&mut tasks);
    tell(&commands, wanted(address)).await;
    standing.taken(1).await;
    *standing.now.lock().unwrap() = ("b2".to_owned(), Revision::default());
    let restarted = Wanted {
        restarts: 1,
        ..wanted(address)
    };
    tell(&commands, restarted).await;
    assert_eq!(standing.taken(2).await[1].boot, "b2");
}

/// A leaving pod is followed.
#[tokio::test]
async fn a_leaving_sidecar_is_followed() {
    let mut tasks = JoinSet::new();
    let (address, _standing) = sidecar(&mut tasks, "b1").await;
    let (commands, mut news) = push(&mut tasks);
    tell(&commands, leaving(address)).await;
    loop {
        if let Learned::Report(report) = next(&mut news).await
            && report.phase == Phase::Draining
        {
            break;
        }
    }
}

/// A sidecar that does not answer is said to be unreachable, with the reason.
#[tokio::test]
async fn a_sidecar_that_does_not_answer_is_unreachable() {
    let mut tasks = JoinSet::new();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let (commands, mut news) = push(&mut tasks);
    tell(&commands, leaving(address)).await;
    let Learned::Contact(Contact::Unreachable(why)) = next(&mut news).await else {
        panic!("it was reached");
    };
    assert!(why.contains("no connection to 127.0.0.1"), "{why}");
}

/// An address that was given to another pod is not told what the first was meant to do.
#[tokio::test]
async fn another_pod_at_the_address_is_told_nothing() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let (commands, mut news) = push(&mut tasks);
    let other = Wanted {
        pod: "p2".to_owned(),
        ..leaving(address)
    };
    tell(&commands, other).await;
    let Learned::Contact(Contact::Unreachable(why)) = next(&mut news).await else {
        panic!("it was told");
    };
    assert!(why.contains("another pod"), "{why}");
    assert!(standing.taken.borrow().is_empty());
}

/// A pod whose key is in no keyring any more is told apart from one that does not answer: new pods
/// mend it.
#[tokio::test]
async fn a_lost_key_is_told_apart_from_silence() {
    let mut tasks = JoinSet::new();
    let (address, standing) = sidecar(&mut tasks, "b1").await;
    let (commands, mut news) = push(&mut tasks);
    let lost = Wanted {
        key: "k0".to_owned(),
        ..leaving(address)
    };
    tell(&commands, lost).await;
    loop {
        if let Learned::Contact(contact) = next(&mut news).await {
            assert_eq!(contact, Contact::KeyLost);
            break;
        }
    }
    assert!(standing.taken.borrow().is_empty());
}
