//! Requests that cross a goodbye on its way: clients at the other end of a cable, each kind with
//! what it makes of a GOAWAY. None of them sends a request twice that the relay may have taken.

use super::random::seen;
use super::*;

/// How a client reads, and what it takes for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It obeys RFC 9113, reads at any time, and begins the next request the moment that the answer
    /// to the last one has ended. It can't send a body twice: what a GOAWAY names as unseen is
    /// lost.
    Obeys,
    /// The same with the first 20 ms of a request spent between the choice of the connection and
    /// the first byte, as where threads wait for a CPU.
    Dawdles,
    /// It takes any GOAWAY for an error of all streams that are open, and what is behind it in the
    /// same read for an error of all that was read.
    Minds,
    /// The same, and it reads only while a stream is open: what it finds then has come too late.
    ReadsLate,
}

/// What is on its way, or about to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Leave,
    /// Bytes of the client arrive at the relay.
    ToRelay(Vec<u8>),
    /// Bytes of the relay arrive at the client.
    ToClient(Vec<u8>),
    /// One of the client's workers asks.
    Asks,
    /// The app has an answer.
    Answers(u32),
}

/// What varies.
#[derive(Clone, Copy, Debug)]
struct Case {
    manner: Manner,
    /// How many requests it has open at a time, at most.
    workers: u32,
    /// One way.
    delay: Duration,
    /// From an answer to the next request of the same worker.
    pause: Duration,
    /// From a request to its answer.
    answer: Duration,
    leaves: Duration,
}

struct World {
    case: Case,
    played: Played,
    /// In the order in which they were planned.
    events: Vec<(Instant, Event)>,
    /// What of the bytes for each side was dealt with.
    heard: usize,
    asked: usize,
    unread: Vec<u8>,
    next: u32,
    open: Vec<u32>,
    /// The client begins nothing more.
    told: bool,
    /// The client has closed the connection.
    is_gone: bool,
    served: u32,
    lost: Vec<u32>,
}

impl World {
    fn new(case: Case) -> World {
        let played = Played::http2(false);
        let now = played.now;
        let mut events = vec![(now + case.leaves, Event::Leave)];
        events.extend((0..case.workers).map(|worker| (now + worker * MS, Event::Asks)));
        World {
            case,
            played,
            events,
            heard: 0,
            asked: 0,
            unread: Vec::new(),
            next: 1,
            open: Vec::new(),
            told: false,
            is_gone: false,
            served: 0,
            lost: Vec::new(),
        }
    }

    /// Goes on until the client is told and nothing is on its way; says how long after the pod
    /// began to leave that was.
    fn run(&mut self) -> Duration {
        let leaves = self.played.now + self.case.leaves;
        let limit = leaves + Duration::from_secs(60);
        loop {
            self.carry();
            let planned = self.events.iter().map(|(at, _)| *at).min();
            let wakes = self.played.connection.wakes_at(self.played.now);
            let wakes = wakes.filter(|_| !self.played.is_over());
            let Some(at) = planned.into_iter().chain(wakes).min() else {
                break;
            };
            assert!(at < limit, "nobody told the client: {:?}", self.case);
            let since = at.saturating_duration_since(self.played.now);
            self.played.pass(since);
            self.carry();
            while let Some(index) = self.events.iter().position(|(due, _)| *due <= at) {
                let (_, event) = self.events.remove(index);
                self.happens(event);
                self.carry();
            }
        }
        self.lost.append(&mut self.open);
        self.played.now.saturating_duration_since(leaves)
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.events.push((self.played.now + after, event));
    }

    /// Puts on the cable what was said to either side.
    fn carry(&mut self) {
        let news = self.played.to_client()[self.heard..].to_vec();
        if !news.is_empty() {
            self.heard += news.len();
            self.later(self.case.delay, Event::ToClient(news));
        }
        let news = self.played.to_app()[self.asked..].to_vec();
        self.asked += news.len();
        for frame in seen(&news).iter().filter(|frame| frame.kind == 1) {
            self.later(self.case.answer, Event::Answers(frame.stream));
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Leave => self.played.leave(true),
            Event::ToRelay(bytes) => {
                self.played.client(&bytes);
                self.played.pass(Duration::ZERO);
            }
            Event::Answers(stream) => self.played.app(&answer(stream)),
            Event::Asks if self.told => {}
            Event::Asks => {
                self.open.push(self.next);
                let wait = match self.case.manner {
                    Manner::Dawdles => 20 * MS,
                    _ => Duration::ZERO,
                };
                let request = Event::ToRelay(request(self.next));
                self.next += 2;
                self.later(wait + self.case.delay, request);
                self.read();
            }
            Event::ToClient(bytes) => {
                self.unread.extend(bytes);
                if self.case.manner != Manner::ReadsLate || !self.open.is_empty() {
                    self.read();
                }
            }
        }
    }

    /// The client reads what has arrived.
    fn read(&mut self) {
        let mut free = 0;
        for frame in seen(&std::mem::take(&mut self.unread)) {
            let ends = frame.kind < 2 && frame.flags & 1 != 0;
            if ends && let Some(place) = self.open.iter().position(|open| *open == frame.stream) {
                self.open.remove(place);
                self.served += 1;
                let at_once = self.case.pause.is_zero() && self.case.manner == Manner::Obeys;
                if at_once && !self.told {
                    // In the middle of the read: another thread was faster than its end.
                    self.happens(Event::Asks);
                } else {
                    free += 1;
                }
            }
            let takes_for_end = matches!(self.case.manner, Manner::Minds | Manner::ReadsLate);
            if takes_for_end && self.told && frame.kind != 7 && !self.is_gone {
                // Anything behind a GOAWAY is an error for Python's h2, and what is read with it.
                self.lost.push(frame.stream);
            }
            if frame.kind == 6 && frame.flags & 1 == 0 {
                let pong = Event::ToRelay(super::frame(6, 0x1, 0, &frame.payload));
                self.later(self.case.delay, pong);
            }
            if frame.kind == 7 {
                let last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                self.is_told(last);
            }
        }
        self.is_gone = self.told && self.open.is_empty();
        for _ in 0..free {
            self.later(self.case.pause, Event::Asks);
        }
    }

    fn is_told(&mut self, last: u32) {
        self.told = true;
        let unseen = |stream: &u32| *stream > last;
        match self.case.manner {
            Manner::Obeys | Manner::Dawdles => {
                self.lost.extend(self.open.extract_if(.., |s| unseen(s)))
            }
            Manner::Minds | Manner::ReadsLate => self.lost.append(&mut self.open),
        }
    }
}

/// Times around every timer of ours, and any.
fn pause() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        4 => (0..30_000u32).prop_map(|micros| micros * Duration::from_micros(1)),
        2 => (0..1400u32).prop_map(|millis| millis * MS),
        2 => (990..1010u32).prop_map(|millis| millis * MS),
        4 => (1_450_000..1_560_000u32).prop_map(|micros| micros * Duration::from_micros(1)),
        2 => (1400..6000u32).prop_map(|millis| millis * MS),
    ]
}

fn case(manner: Manner, workers: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = Case> {
    let delay = (200..5000u32).prop_map(|micros| micros * Duration::from_micros(1));
    let answer = prop_oneof![
        4 => (500..60_000u32).prop_map(|micros| micros * Duration::from_micros(1)),
        1 => (0..4000u32).prop_map(|millis| millis * MS),
    ];
    (workers, delay, pause(), answer, 0..1000u32).prop_map(
        move |(workers, delay, pause, answer, leaves)| Case {
            manner,
            workers,
            delay,
            pause,
            answer,
            // Anywhere in the first rounds.
            leaves: (pause + answer + 100 * MS) * leaves / 500,
        },
    )
}

fn loses_nothing(case: Case) -> Result<(), TestCaseError> {
    let mut world = World::new(case);
    let took = world.run();
    let lost = &world.lost;
    prop_assert!(lost.is_empty(), "streams {lost:?} of {}", world.served);
    prop_assert!(world.told, "nobody told the client");
    let most = case.pause + case.answer + Duration::from_secs(6);
    prop_assert!(took <= most, "{took:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// One request at a time or many, whatever their pauses: a client that obeys loses none,
    /// although it can send none again.
    #[test]
    fn who_obeys_loses_nothing(case in case(Manner::Obeys, 1..=4)) {
        loses_nothing(case)?;
    }

    /// Nor does one whose threads are slow.
    #[test]
    fn who_dawdles_loses_nothing(case in case(Manner::Dawdles, 1..=1)) {
        loses_nothing(case)?;
    }

    /// Nor one that takes any GOAWAY for an error, if it has one request at a time, of any length,
    /// and pauses for less than a second and a half.
    #[test]
    fn who_minds_loses_nothing_between_short_pauses(case in case(Manner::Minds, 1..=1)) {
        let pause = case.pause.min(1480 * MS);
        loses_nothing(Case { pause, ..case })?;
    }

    /// Nor one that reads only while it waits for an answer, whatever its pauses.
    #[test]
    fn who_reads_late_loses_nothing(case in case(Manner::ReadsLate, 1..=1)) {
        loses_nothing(case)?;
    }
}

/// One that takes any GOAWAY for an error and rests longer loses a request only if that crosses the
/// warning: it was begun less than a round trip before.
#[test]
fn who_minds_and_rests_loses_what_crosses() {
    let lost = |rests_since: Duration| {
        let case = Case {
            manner: Manner::Minds,
            workers: 1,
            delay: 2 * MS,
            pause: 3000 * MS,
            answer: 10 * MS,
            leaves: 14 * MS + rests_since,
        };
        let mut world = World::new(case);
        world.run();
        world.lost.len()
    };
    assert_eq!(
        lost(1600 * MS),
        0,
        "it is told long before its next request"
    );
    assert_eq!(
        lost(2996 * MS),
        1,
        "its next request begins while the warning is under way"
    );
    assert_eq!(lost(3100 * MS), 0, "its next request has come");
}
