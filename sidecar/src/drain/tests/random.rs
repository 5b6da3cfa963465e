//! Whatever happens in whatever order: `Bench::check` holds after every step, a drain ends, and
//! every hook is answered.

use super::*;
use ebb_api::connections::AtTimeout;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Happening {
    Pass(u64),
    Hook(&'static str),
    Begin,
    Finish,
    Break,
    /// An opaque connection becomes busy, or idle.
    Opaque(bool),
    /// So many connections are there that were not told to leave.
    Untold(u64),
    Expect(u64),
    Put {
        leave: Option<Leave>,
        endpoints: Endpoints,
        enabled: bool,
        seconds: [u32; 7],
        handover: bool,
        alone: bool,
        dns: Option<u32>,
    },
    AppAnswered,
    Sigterm,
}

fn happening() -> impl Strategy<Value = Happening> {
    let trigger = prop_oneof![Just(Trigger::Deleted), Just(Trigger::Terminating)];
    let leave =
        (trigger, proptest::option::of(1..200u32)).prop_map(|(trigger, grace_seconds)| Leave {
            trigger,
            grace_seconds,
        });
    let endpoints = prop_oneof![
        Just(Endpoints::Present),
        Just(Endpoints::Gone),
        Just(Endpoints::NotServing)
    ];
    let put = (
        proptest::option::of(leave),
        endpoints,
        proptest::bool::weighted(0.85),
        [
            1..120u32,
            0..20u32,
            0..5u32,
            0..10u32,
            0..40u32,
            0..60u32,
            0..200u32,
        ],
        proptest::bool::ANY,
        proptest::bool::ANY,
        proptest::option::of(0..90u32),
    )
        .prop_map(
            |(leave, endpoints, enabled, seconds, handover, alone, dns)| Happening::Put {
                leave,
                endpoints,
                enabled,
                seconds,
                handover,
                alone,
                dns,
            },
        );
    prop_oneof![
        8 => (0..5_000u64).prop_map(Happening::Pass),
        2 => (0..90_000u64).prop_map(Happening::Pass),
        4 => prop_oneof![Just("own"), Just("web"), Just("log")].prop_map(Happening::Hook),
        4 => Just(Happening::Begin),
        4 => Just(Happening::Finish),
        1 => Just(Happening::Break),
        2 => proptest::bool::ANY.prop_map(Happening::Opaque),
        2 => (0..3u64).prop_map(Happening::Untold),
        1 => (0..20_000u64).prop_map(Happening::Expect),
        4 => put,
        1 => Just(Happening::AppAnswered),
        1 => Just(Happening::Sigterm),
    ]
}

impl Bench {
    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Pass(milliseconds) => self.run(Duration::from_millis(milliseconds)),
            Happening::Hook(name) => self.hook(name),
            Happening::Begin => self.begin(),
            Happening::Finish => self.finish(),
            Happening::Break => self.breaks(),
            Happening::Opaque(busy) => {
                self.snapshot
                    .in_flight
                    .insert(Protocol::Opaque, busy.into());
                match busy {
                    true => self.snapshot.begun.insert(Protocol::Opaque, self.now),
                    false => self.snapshot.begun.remove(&Protocol::Opaque),
                };
                self.tell(Event::Tick);
            }
            Happening::Untold(count) => {
                self.snapshot.untold = count;
                self.tell(Event::Tick);
            }
            Happening::Expect(milliseconds) => {
                let until = self.now + Duration::from_millis(milliseconds);
                self.snapshot.pausing_until = Some(until);
                self.tell(Event::Tick);
            }
            Happening::Put {
                leave,
                endpoints,
                enabled,
                seconds: [timeout, min, quiet, idle, max, shutdown, pace],
                handover,
                alone,
                dns,
            } => {
                self.services.dns_seconds = dns;
                self.services.alone_in = alone.then(|| "web".to_owned());
                self.leave = leave;
                self.endpoints = endpoints;
                self.settings = Settings {
                    policy: Some("web".to_owned()),
                    enabled,
                    timeout_seconds: timeout,
                    deregistration: DeregistrationSettings {
                        min_seconds: min,
                        quiet_seconds: quiet,
                        idle_seconds: idle,
                        max_seconds: max,
                    },
                    connections: ConnectionSettings {
                        pace_seconds: pace,
                        at_timeout: if handover {
                            AtTimeout::Handover
                        } else {
                            AtTimeout::Close
                        },
                        ..ConnectionSettings::default()
                    },
                    shutdown_seconds: Some(shutdown),
                };
                self.put();
            }
            Happening::AppAnswered => self.tell(Event::AppAnswered),
            Happening::Sigterm => self.tell(Event::Sigterm),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(17440),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// However it came to be: left alone, the machine answers every hook and comes to rest.
    #[test]
    fn every_drain_ends_and_every_hook_is_answered(
        happenings in proptest::collection::vec(happening(), 1..40)
    ) {
        let mut bench = Bench::new(settings(60));
        for happening in &happenings {
            bench.happen(happening);
        }
        if bench.machine.facts.sigterm.is_some() {
            prop_assert!(bench.waiting.is_empty(), "held after SIGTERM: {:?}", bench.waiting);
            // For as long as something is in flight then, the books are kept without an end.
            bench.snapshot.in_flight.clear();
            bench.tell(Event::Tick);
        }
        bench.run(Duration::from_secs(7200));
        prop_assert!(bench.waiting.is_empty(), "held for ever: {:?}", bench.waiting);
        prop_assert!(bench.orders.trigger.is_none(), "a drain without an end: {:?}", bench.orders);
        prop_assert_eq!(bench.orders.wake, None);
    }
}
