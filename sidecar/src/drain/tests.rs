//! The machine on a clock that only the test moves. `Pod::run` follows the machine's own wish of
//! when to be woken, so a rule that forgets to ask for its moment shows here.

mod alone;
mod broken;
mod connections;
mod deletion;
mod dns;
mod holders;
mod parts;
mod random;
mod restart;
mod words;

use super::*;
use crate::stance::Stance;
use ebb_api::connections::ConnectionSettings;
use ebb_api::desired::{Endpoints, Leave, Revision, Services};
use ebb_api::phase::{Outcome, Trigger};
use ebb_api::report::Protocol;
use ebb_api::settings::DeregistrationSettings;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const GRACE: u32 = 95;
const SHUTDOWN: u32 = 30;

fn settings(timeout_seconds: u32) -> Settings {
    Settings {
        policy: Some("web".to_owned()),
        enabled: true,
        timeout_seconds,
        deregistration: DeregistrationSettings::default(),
        connections: ConnectionSettings::default(),
        shutdown_seconds: Some(SHUTDOWN),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A pod with two containers, its connections, and the machine that watches over it.
struct Bench {
    machine: Machine,
    snapshot: Snapshot,
    start: Instant,
    now: Instant,
    orders: Orders,
    passed: Vec<(Duration, Milestone)>,
    /// Hooks that wait for an answer.
    waiting: BTreeSet<Caller>,
    settings: Settings,
    endpoints: Endpoints,
    leave: Option<Leave>,
    services: Services,
}

impl Bench {
    fn new(settings: Settings) -> Bench {
        Bench::with(settings, Duration::ZERO)
    }

    fn with(settings: Settings, own_sleep: Duration) -> Bench {
        let pod = Pod {
            grace: Duration::from_secs(GRACE.into()),
            original_grace_seconds: SHUTDOWN,
            own_sleep,
            containers: [("web", 12), ("log", 95)]
                .map(|(name, grace)| (name.to_owned(), Duration::from_secs(grace)))
                .into(),
        };
        let start = Instant::now();
        let mut machine = Machine::new(pod, settings.clone());
        let snapshot = Snapshot::default();
        let (orders, _) = machine.on(Event::Tick, &snapshot, start);
        Bench {
            machine,
            snapshot,
            start,
            now: start,
            orders,
            passed: Vec::new(),
            waiting: BTreeSet::new(),
            settings,
            endpoints: Endpoints::Present,
            leave: None,
            services: Services::default(),
        }
    }

    fn tell(&mut self, event: Event) {
        if let Event::HookCalled(caller) = &event {
            self.waiting.insert(caller.clone());
        }
        let before = self.orders.clone();
        let (orders, milestones) = self.machine.on(event, &self.snapshot, self.now);
        self.orders = orders;
        match self.orders.release {
            Release::Hold => {}
            Release::Own => {
                self.waiting.remove(&Caller::Own);
            }
            Release::All => self.waiting.clear(),
        }
        self.check(&before, &milestones);
        let at = self.now - self.start;
        self.passed
            .extend(milestones.into_iter().map(|milestone| (at, milestone)));
    }

    /// What holds after every step, whatever happened.
    fn check(&self, before: &Orders, milestones: &[Milestone]) {
        let orders = &self.orders;
        let busy = self.snapshot.in_flight_in_all();
        assert!(
            orders.wake.is_none_or(|wake| wake > self.now),
            "a wish to be woken in the past spins: {orders:?}"
        );
        let going = self.machine.facts.sigterm.is_some();
        assert!(!orders.exit || (going && busy == 0), "{orders:?}");
        if let Some(deadline) = orders.deadline {
            let wake = orders
                .wake
                .expect("a leaving pod always has something to wait for");
            let cutting = Duration::from_millis(500);
            assert!(
                wake <= deadline.max(self.now) + cutting,
                "nothing wakes it before its deadline: {orders:?}"
            );
        }
        // With nothing but what is handed over, the cut and the end are one step.
        let handed_over = milestones
            .iter()
            .any(|milestone| matches!(milestone, Milestone::Ended(drain) if drain.handed_over > 0));
        if orders.stance == Stance::Cut && before.stance != Stance::Cut && !handed_over {
            let deadline = orders.deadline.or(before.deadline);
            assert!(
                deadline.is_some_and(|deadline| deadline <= self.now),
                "cut too early"
            );
        }
        for milestone in milestones {
            let Milestone::Ended(drain) = milestone else {
                continue;
            };
            assert_eq!(drain.parts.in_all_ms(), drain.took_ms, "{drain:?}");
            let restart = drain.trigger == Trigger::ContainerRestart;
            match drain.outcome {
                Outcome::Drained | Outcome::Broken => {
                    assert_eq!(busy, 0, "released with work in flight: {drain:?}");
                    let broken = drain.outcome == Outcome::Broken;
                    assert_eq!(drain.broken_in_all() > 0, broken, "{drain:?}");
                }
                Outcome::TimedOut if !restart => assert!(
                    before.stance == Stance::Cut || handed_over,
                    "timed out before anything was cut: {drain:?}"
                ),
                Outcome::TimedOut => {}
                Outcome::Skipped => assert!(!self.machine.settings().enabled),
                Outcome::Killed => assert!(going),
                Outcome::Cancelled => panic!("a drain that is called off does not end"),
            }
        }
        if orders.phase == Phase::Serving && !going {
            assert_eq!(orders.stance, Stance::Serving);
            assert!(orders.ready);
        }
        if orders.release == Release::All && orders.phase != Phase::Ended {
            assert!(going || !self.machine.settings().enabled, "{orders:?}");
        }
    }

    /// Lets time pass.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(wake) = self.orders.wake.filter(|wake| *wake <= end) {
            self.now = wake;
            self.tell(Event::Tick);
        }
        self.now = end;
    }

    /// Lets time pass until this is so, and says how long after the start that was.
    #[track_caller]
    fn until(&mut self, what: &str, so: impl Fn(&Bench) -> bool) -> f64 {
        while !so(self) {
            match self.orders.wake {
                Some(wake) => {
                    self.now = wake;
                    self.tell(Event::Tick);
                }
                None => panic!("{what}: never, it waits for nothing: {:?}", self.orders),
            }
        }
        (self.now - self.start).as_secs_f64()
    }

    #[track_caller]
    fn until_released(&mut self) -> f64 {
        self.until("all hooks released", |bench| bench.waiting.is_empty())
    }

    fn hook(&mut self, caller: &str) {
        self.tell(Event::HookCalled(match caller {
            "own" => Caller::Own,
            name => Caller::App(name.to_owned()),
        }));
    }

    fn pod_hooks(&mut self) {
        self.hook("web");
        self.hook("log");
        self.hook("own");
    }

    /// A request comes.
    fn begin(&mut self) {
        self.snapshot.work += 1;
        self.snapshot.last_work = Some(self.now);
        *self.snapshot.in_flight.entry(Protocol::Http1).or_default() += 1;
        self.snapshot
            .begun
            .entry(Protocol::Http1)
            .or_insert(self.now);
        self.tell(Event::Tick);
    }

    /// A request finishes.
    fn finish(&mut self) {
        self.snapshot.finished += 1;
        self.snapshot.in_flight.remove(&Protocol::Http1);
        self.snapshot.begun.remove(&Protocol::Http1);
        self.tell(Event::Tick);
    }

    /// The app breaks off whatever is in flight over HTTP/1.
    fn breaks(&mut self) {
        let open = self.snapshot.in_flight.remove(&Protocol::Http1);
        self.snapshot.begun.remove(&Protocol::Http1);
        *self.snapshot.broken.entry(Protocol::Http1).or_default() += open.unwrap_or(0);
        self.tell(Event::Tick);
    }

    /// The controller puts what it wants.
    fn put(&mut self) {
        let desired = Desired {
            pod: String::new(),
            boot: String::new(),
            revision: Revision::default(),
            settings: self.settings.clone(),
            leave: self.leave,
            endpoints: self.endpoints,
            services: self.services.clone(),
        };
        self.tell(Event::Desired(Box::new(desired)));
    }

    fn delete(&mut self, grace_seconds: Option<u32>) {
        self.leave = Some(Leave {
            trigger: Trigger::Deleted,
            grace_seconds,
        });
        self.put();
    }

    fn endpoints(&mut self, endpoints: Endpoints) {
        self.endpoints = endpoints;
        self.put();
    }

    /// No other endpoint of this Service is ready, or some is.
    fn alone_in(&mut self, service: Option<&str>) {
        self.services.alone_in = service.map(str::to_owned);
        self.put();
    }

    fn last(&self) -> &Drain {
        self.machine.last().expect("a drain has ended")
    }

    /// The order of what was passed, by the first word of each.
    fn story(&self) -> Vec<String> {
        let word = |milestone: &Milestone| {
            let text = format!("{milestone:?}");
            let end = text
                .find(|letter: char| !letter.is_alphanumeric())
                .unwrap_or(text.len());
            text[..end].to_owned()
        };
        self.passed
            .iter()
            .map(|(_, milestone)| word(milestone))
            .collect()
    }
}
