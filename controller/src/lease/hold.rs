//! The calls to the API server: reading the Lease, and replacing the version that was read.

use super::claim::{Claim, NOBODY, Record, Step};
use super::{DURATION, Held, LEASE, LOOK_EVERY, Leadership};
use crate::api_error::Class;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info, warn};

/// How long an answer of the API server is waited for: a later one is of no use to a holder that
/// gives up after ten seconds.
const ANSWER: Duration = Duration::from_secs(4);

/// One replica's efforts to lead.
pub struct Candidate {
    leases: Api<Lease>,
    identity: String,
    claim: Claim,
    /// The Lease as it was read or written last, while nothing speaks against its being so still.
    at_hand: Option<Lease>,
    held: watch::Sender<Option<Held>>,
    outbid: watch::Receiver<u64>,
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {} seconds", ANSWER.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
}

// === impl Failure ===

impl Failure {
    /// The Lease is not what it was when it was read.
    fn is_change(&self) -> bool {
        match self {
            Failure::Api(error) => {
                matches!(Class::of(error), Class::Conflict | Class::NotFound)
            }
            Failure::Silent(_) => false,
        }
    }
}

// === impl Candidate ===

impl Candidate {
    /// A replica that holds the Lease under `identity`: the name of its pod, so that a container
    /// that is restarted need not wait for its own Lease to expire.
    pub fn new(client: Client, namespace: &str, identity: String) -> (Candidate, Leadership) {
        let (held, receiver) = watch::channel(None);
        let outbid = watch::Sender::new(0);
        let candidate = Candidate {
            leases: Api::namespaced(client, namespace),
            claim: Claim::new(identity.clone()),
            identity,
            at_hand: None,
            held,
            outbid: outbid.subscribe(),
        };
        let leadership = Leadership {
            held: receiver,
            outbid,
        };
        (candidate, leadership)
    }

    /// Takes the Lease when it can be had, and renews it. Never returns; whoever aborts it has what
    /// is left of [`GIVE_UP`](super::GIVE_UP) to end its work and to [`release`] the Lease.
    pub async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                // The other end is this struct's own Leadership; without it nobody would act.
                Ok(()) = self.outbid.changed() => {}
            }
            let highest = *self.outbid.borrow_and_update();
            self.claim.heard(highest);
            let mut looked = self.look().await;
            if looked.as_ref().is_err_and(Failure::is_change) {
                // Whoever has changed it may hold it now.
                self.at_hand = None;
                looked = self.look().await;
            }
            if let Err(failure) = looked {
                self.at_hand = None;
                let left = self.claim.held(Instant::now()).map(left);
                warn!(%failure, lease = LEASE, ?left, "cannot take or renew the Lease");
            }
            self.publish();
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        // A holder replaces what it wrote last: a change of somebody else's is refused.
        if self.at_hand.is_none() || self.claim.held(Instant::now()).is_none() {
            self.at_hand = None;
            let read = tokio::time::timeout(ANSWER, self.leases.get_opt(LEASE)).await??;
            self.claim.see(read.as_ref().map(record), Instant::now());
            self.at_hand = read;
        }
        let sent = Instant::now();
        match self.claim.step(sent) {
            Step::Take { term } => {
                let next = self.next(&self.identity, Some(term));
                self.write(&next, sent).await?;
                info!(term, identity = self.identity, "took the Lease");
            }
            Step::Renew => {
                let next = self.next(&self.identity, None);
                self.write(&next, sent).await?;
            }
            Step::Make => {
                warn!(lease = LEASE, "the Lease was deleted; making it anew");
                let (how, next) = (PostParams::default(), self.next(NOBODY, Some(0)));
                tokio::time::timeout(ANSWER, self.leases.create(&how, &next)).await??;
            }
            Step::Wait => {}
        }
        Ok(())
    }

    async fn write(&mut self, next: &Lease, sent: Instant) -> Result<(), Failure> {
        let how = PostParams::default();
        let written = async {
            match &self.at_hand {
                Some(_) => self.leases.replace(LEASE, &how, next).await,
                None => self.leases.create(&how, next).await,
            }
        };
        let written = tokio::time::timeout(ANSWER, written).await??;
        self.claim.wrote(record(&written), sent, Instant::now());
        self.at_hand = Some(written);
        Ok(())
    }

    /// The Lease as it is to be; with another term, if that is given. Whatever others have written
    /// into it stays.
    fn next(&self, holder: &str, term: Option<u64>) -> Lease {
        let mut lease = self.at_hand.clone().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.to_owned()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        // For people and for other programs; nothing here compares it with a clock.
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if let Some(term) = term {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(i32::try_from(term).unwrap_or(i32::MAX));
        }
        spec.renew_time = Some(now);
        spec.holder_identity = Some(holder.to_owned());
        spec.lease_duration_seconds = Some(DURATION.as_secs() as i32);
        lease
    }

    fn publish(&self) {
        let now_held = self.claim.held(Instant::now());
        self.held.send_if_modified(|held| {
            let changed = *held != now_held;
            *held = now_held;
            changed
        });
    }
}

/// Gives the Lease back, so that another replica need not wait for its end. To be called when the
/// last write of this one has ended; what fails is only logged.
pub async fn release(client: Client, namespace: &str, identity: &str) {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let given_back = async {
        match give_back(&leases, identity).await {
            // A last renewal was still on its way.
            Err(error) if Class::of(&error) == Class::Conflict => {
                give_back(&leases, identity).await
            }
            done => done,
        }
    };
    match tokio::time::timeout(ANSWER, given_back).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the Lease was not given back"),
        Err(error) => debug!(%error, "the Lease was not given back"),
    }
}

async fn give_back(leases: &Api<Lease>, identity: &str) -> Result<(), kube::Error> {
    let Some(mut lease) = leases.get_opt(LEASE).await? else {
        return Ok(());
    };
    match &mut lease.spec {
        Some(spec) if spec.holder_identity.as_deref() == Some(identity) => {
            spec.holder_identity = None;
        }
        _ => return Ok(()),
    }
    leases
        .replace(LEASE, &PostParams::default(), &lease)
        .await?;
    info!(identity, "gave the Lease back");
    Ok(())
}

/// What a Lease says. Whatever is missing in it, or makes no sense, speaks for nobody.
fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds;
    let duration = seconds.and_then(|it| u64::try_from(it).ok());
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: duration.map(Duration::from_secs),
        term: spec
            .lease_transitions
            .and_then(|it| u64::try_from(it).ok())
            .unwrap_or(0),
    }
}

fn left(held: Held) -> Duration {
    held.until.saturating_duration_since(Instant::now())
}
