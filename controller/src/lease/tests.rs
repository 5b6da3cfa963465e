//! Several replicas and one Lease, with everything that can go wrong between them.

use super::claim::{Claim, NOBODY, Record, Step};
use super::{DURATION, GIVE_UP, Held, LOOK_EVERY, Leadership, Term};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn held_by(holder: &str, version: u64, term: u64) -> Option<Record> {
    Some(Record {
        version: version.to_string(),
        holder: Some(holder.to_owned()),
        duration: Some(DURATION),
        term,
    })
}

fn given_back(version: u64, term: u64) -> Option<Record> {
    held_by("", version, term).map(|record| Record {
        holder: None,
        ..record
    })
}

/// What a replica does at first sight of the Lease, and how long it then waits for it.
#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_when_nobody_can_hold_it() {
    let now = Instant::now();
    let a_slip = held_by("b", 1, 4).map(|record| Record {
        duration: Some(Duration::from_hours(9999)),
        ..record
    });
    let another_slip = held_by("b", 1, 4).map(|record| Record {
        duration: Some(Duration::from_secs(1)),
        ..record
    });
    let take = |term| Step::Take { term };
    let rows = [
        ("made by the chart", given_back(1, 0), 0, take(1)),
        ("given back", given_back(9, 4), 0, take(5)),
        (
            "an earlier process of this pod",
            held_by("a", 9, 4),
            0,
            take(5),
        ),
        ("another's", held_by("b", 9, 4), 15, take(5)),
        ("deleted, and perhaps still held", None, 0, Step::Make),
        ("deleted, and made anew", held_by(NOBODY, 9, 0), 15, take(1)),
        ("another's, for a year", a_slip, 60, take(5)),
        ("another's, for a second", another_slip, 15, take(5)),
    ];
    for (what, record, waits, then) in rows {
        let mut claim = Claim::new("a".to_owned());
        assert_eq!(claim.step(now), Step::Wait, "not looked at yet");
        claim.see(record, now);
        let due = now + waits * SECOND;
        if waits > 0 {
            assert_eq!(
                claim.step(due - Duration::from_millis(1)),
                Step::Wait,
                "{what}"
            );
        }
        assert_eq!(claim.step(due), then, "{what}");
    }
}

/// Where somebody puts the chart's Lease in the place of one that is held, its holder may not have
/// noticed; and a renewal that is answered too late does not bring a term back.
#[tokio::test(start_paused = true)]
async fn what_has_ended_does_not_come_back() {
    let now = Instant::now();
    let mut claim = Claim::new("a".to_owned());
    claim.see(held_by("b", 1, 4), now);
    claim.see(given_back(2, 0), now);
    assert_eq!(claim.step(now + 14 * SECOND), Step::Wait);
    assert_eq!(claim.step(now + 15 * SECOND), Step::Take { term: 5 });
    let mut claim = Claim::new("a".to_owned());
    claim.wrote(held_by("a", 2, 5).unwrap(), now, now);
    let (sent, answered) = (now + 9 * SECOND, now + 11 * SECOND);
    claim.wrote(held_by("a", 3, 5).unwrap(), sent, answered);
    assert_eq!(claim.held(answered), None);
    assert_eq!(claim.step(answered), Step::Take { term: 6 });
}

/// As long as it is renewed, it is another's; what is seen again unchanged is not a renewal.
#[tokio::test(start_paused = true)]
async fn a_renewal_is_a_change_as_it_is_seen_here() {
    let now = Instant::now();
    let mut claim = Claim::new("a".to_owned());
    for look in 0..60 {
        claim.see(held_by("b", u64::from(look), 4), now + look * SECOND);
        assert_eq!(claim.step(now + look * SECOND), Step::Wait);
    }
    for look in 59..75 {
        claim.see(held_by("b", 59, 4), now + look * SECOND);
    }
    assert_eq!(claim.step(now + 73 * SECOND), Step::Wait);
    assert_eq!(claim.step(now + 74 * SECOND), Step::Take { term: 5 });
}

/// A holder renews until it hears of a later term, and stops by its own clock if it can't.
#[tokio::test(start_paused = true)]
async fn a_holder_renews_and_gives_up_by_itself() {
    let now = Instant::now();
    let mut claim = Claim::new("a".to_owned());
    claim.see(given_back(1, 4), now);
    claim.wrote(held_by("a", 2, 5).unwrap(), now, now);
    assert_eq!(claim.step(now + 2 * SECOND), Step::Renew);
    let until = now + GIVE_UP;
    assert!(claim.held(until - Duration::from_millis(1)).is_some());
    assert!(claim.held(until).is_none());
    // It may have it again, in another term: who knows what happened meanwhile.
    assert_eq!(claim.step(until), Step::Take { term: 6 });
    claim.heard(9);
    assert_eq!(claim.step(now), Step::Take { term: 10 });
}

/// Who has deleted the Lease, or changed its holder or its term, has ended the term.
#[tokio::test(start_paused = true)]
async fn what_others_write_ends_the_term() {
    let now = Instant::now();
    let take = Step::Take { term: 6 };
    let rows = [
        ("another holder", held_by("b", 3, 6), false, Step::Wait),
        ("an earlier term", held_by("a", 3, 2), false, take),
        ("deleted: nobody else takes it yet", None, true, take),
        ("a label", held_by("a", 3, 5), true, Step::Renew),
    ];
    for (what, record, holds, step) in rows {
        let mut claim = Claim::new("a".to_owned());
        claim.wrote(held_by("a", 2, 5).unwrap(), now, now);
        claim.see(record, now + SECOND);
        assert_eq!(claim.held(now + SECOND).is_some(), holds, "{what}");
        assert_eq!(claim.step(now + SECOND), step, "{what}");
    }
}

/// A term ends when it is not renewed, when another begins, and when the Lease is lost; and whoever
/// waits is told.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_term_is_told() {
    let began = Instant::now();
    let (held, receiver) = watch::channel(None);
    let mut leadership = Leadership {
        held: receiver,
        outbid: watch::Sender::new(0),
    };
    let hold = |term, seconds| {
        held.send_replace(Some(Held {
            term,
            until: Instant::now() + seconds * SECOND,
        }));
    };
    hold(1, 10);
    let term = leadership.won().await;
    assert!(term.number() == 1 && term.holds());
    let renew = async {
        tokio::time::sleep(5 * SECOND).await;
        hold(1, 10);
    };
    tokio::join!(term.lost(), renew);
    assert_eq!(began.elapsed().as_secs(), 15);
    assert!(!term.holds());
    hold(2, 10);
    term.lost().await;
    let term = leadership.won().await;
    held.send_replace(None);
    term.lost().await;
    assert!(!term.holds());
    assert_eq!(began.elapsed().as_secs(), 15, "nothing more was waited for");
    assert!(Term::for_ever(7).holds());
}

/// What happens to one of the replicas, or to the Lease.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Time passes, in milliseconds.
    Pass(u64),
    /// A replica looks, writes what it wants to, and all of that arrives at once.
    Look(usize),
    /// The API server answers a read now; the replica gets it later.
    Read(usize),
    /// The replica gets what it has read.
    Seen(usize),
    /// It sends what it wants to write.
    Send(usize),
    /// What it has sent arrives.
    Arrive(usize),
    /// It gets the answer.
    Answer(usize),
    /// It ends, and gives the Lease back.
    Release(usize),
    /// Its process ends without a word, and begins again under the same name.
    Crash(usize),
    /// Somebody deletes the Lease.
    Delete,
}

const REPLICAS: usize = 3;

fn act() -> impl Strategy<Value = Act> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        8 => (0u64..4_000).prop_map(Act::Pass),
        1 => (4_000u64..40_000).prop_map(Act::Pass),
        8 => replica().prop_map(Act::Look),
        2 => replica().prop_map(Act::Read),
        2 => replica().prop_map(Act::Seen),
        3 => replica().prop_map(Act::Send),
        3 => replica().prop_map(Act::Arrive),
        3 => replica().prop_map(Act::Answer),
        1 => replica().prop_map(Act::Release),
        1 => replica().prop_map(Act::Crash),
        1 => Just(Act::Delete),
    ]
}

struct Replica {
    claim: Claim,
    read: Option<Option<Record>>,
    /// What it has seen of the Lease, and what of that its next write replaces.
    base: Option<String>,
    sent: Option<(Record, Instant, Option<String>)>,
    taken: Option<(Record, Instant)>,
}

struct Scene {
    now: Instant,
    lease: Option<Record>,
    versions: u64,
    replicas: Vec<Replica>,
    /// The term of the last leader, and who that was.
    last: (u64, usize),
}

impl Scene {
    fn new() -> Scene {
        let replica = |number: usize| Replica {
            claim: Claim::new(number.to_string()),
            read: None,
            base: None,
            sent: None,
            taken: None,
        };
        Scene {
            now: Instant::now(),
            lease: given_back(0, 0),
            versions: 0,
            replicas: (0..REPLICAS).map(replica).collect(),
            last: (0, 0),
        }
    }

    fn play(&mut self, act: Act) {
        let now = self.now;
        match act {
            Act::Pass(milliseconds) => self.now += Duration::from_millis(milliseconds),
            Act::Look(i) => {
                for act in [Act::Read, Act::Seen, Act::Send, Act::Arrive, Act::Answer] {
                    self.play(act(i));
                }
            }
            Act::Read(i) => self.replicas[i].read = Some(self.lease.clone()),
            Act::Seen(i) => {
                let replica = &mut self.replicas[i];
                if let Some(read) = replica.read.take() {
                    replica.base = read.as_ref().map(|record| record.version.clone());
                    replica.claim.see(read, now);
                }
            }
            Act::Send(i) => {
                let replica = &mut self.replicas[i];
                let own = i.to_string();
                let record = match replica.claim.step(now) {
                    Step::Take { term } => held_by(&own, 0, term),
                    Step::Renew => {
                        let held = replica.claim.held(now).expect("it renews what it holds");
                        held_by(&own, 0, held.term)
                    }
                    Step::Make => held_by(NOBODY, 0, 0),
                    Step::Wait => return,
                };
                let record = record.expect("it is one");
                replica.sent = Some((record, now, replica.base.clone()));
            }
            Act::Arrive(i) => {
                let Some((record, sent, base)) = self.replicas[i].sent.take() else {
                    return;
                };
                if base == self.lease.as_ref().map(|it| it.version.clone()) {
                    let record = self.store(record);
                    self.replicas[i].taken = Some((record, sent));
                }
            }
            Act::Answer(i) => {
                let replica = &mut self.replicas[i];
                if let Some((record, sent)) = replica.taken.take()
                    && record.holder.as_deref() != Some(NOBODY)
                {
                    replica.base = Some(record.version.clone());
                    replica.claim.wrote(record, sent, now);
                }
            }
            Act::Release(i) => {
                self.end(i);
                let name = i.to_string();
                if let Some(record) = self.lease.clone()
                    && record.holder.as_ref() == Some(&name)
                {
                    self.store(Record {
                        holder: None,
                        ..record
                    });
                }
            }
            Act::Crash(i) => self.end(i),
            Act::Delete => self.lease = None,
        }
        self.check();
    }

    fn store(&mut self, record: Record) -> Record {
        self.versions += 1;
        let version = self.versions.to_string();
        let record = Record { version, ..record };
        self.lease = Some(record.clone());
        record
    }

    fn end(&mut self, i: usize) {
        let replica = &mut self.replicas[i];
        replica.claim = Claim::new(i.to_string());
        (replica.read, replica.base) = (None, None);
        (replica.sent, replica.taken) = (None, None);
    }

    fn check(&mut self) {
        let holders = self.replicas.iter().enumerate();
        let holders: Vec<_> = holders
            .filter_map(|(i, replica)| replica.claim.held(self.now).map(|held| (held.term, i)))
            .collect();
        assert!(holders.len() < 2, "two lead: {holders:?}");
        if let [leader] = holders[..] {
            self.last = leader;
        }
    }

    /// Every replica does what it does every two seconds, and nothing is lost.
    fn play_fair(&mut self) {
        for i in 0..REPLICAS {
            self.play(Act::Look(i));
        }
        self.play(Act::Pass(LOOK_EVERY.as_millis() as u64));
    }
}

proptest! {
    /// Whatever is lost, late, frozen, restarted or deleted: two never lead at the same time, and
    /// when all is well again, one soon does.
    #[test]
    fn two_never_lead(acts in vec(act(), 1..200)) {
        let mut scene = Scene::new();
        for act in acts {
            scene.play(act);
        }
        let mut rounds = 0;
        let leads = |scene: &Scene| {
            scene.replicas.iter().any(|replica| replica.claim.held(scene.now).is_some())
        };
        scene.play_fair();
        while !leads(&scene) {
            scene.play_fair();
            rounds += 1;
            let waited = rounds * LOOK_EVERY;
            assert!(waited <= DURATION + 2 * LOOK_EVERY, "nobody leads");
        }
    }

    /// As long as nobody deletes the Lease, each leader's term is higher than that of the one
    /// before.
    #[test]
    fn terms_rise(acts in vec(act(), 1..200)) {
        let mut scene = Scene::new();
        for act in acts {
            let before = scene.last;
            if !matches!(act, Act::Delete) {
                scene.play(act);
            }
            let changed = before.1 != scene.last.1;
            assert!(scene.last.0 > before.0 || !changed && scene.last.0 == before.0);
        }
    }
}
