//! The sentences that a person reads about a drain.

use super::count::count;
use super::duration::{seconds, short};
use super::holders::{held_by, noun};
use super::parts::waited;
use ebb_api::capture::Mode;
use ebb_api::phase::{Outcome, Phase};
use ebb_api::report::{Census, Drain, Protocol, Report};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far a leaving pod is. `age` is how old the report is.
pub fn progress(report: &Report, age: Duration) -> String {
    let Some(leaving) = &report.leaving else {
        return match (&report.phase, &report.last) {
            (Phase::Ended, Some(drain)) => {
                format!("{}; the app shuts down", outcome(report.mode, drain))
            }
            _ => "Leaving: its sidecar has not begun to drain".to_owned(),
        };
    };
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let elapsed = seconds(leaving.elapsed_ms.saturating_add(age));
    let left = seconds(leaving.remaining_ms.saturating_sub(age));
    let word = match report.phase {
        Phase::Serving | Phase::Deregistering => "Deregistering",
        Phase::Draining => "Draining",
        Phase::Ended => return "Released; the app shuts down".to_owned(),
    };
    let mut now = open(&report.now);
    let broken = works(&leaving.broken);
    if !broken.is_empty() {
        now.push_str(&format!("; {broken} broken off by the app"));
    }
    if let Some(service) = &leaving.alone_in {
        now.push_str(&format!(
            "; goes on accepting, since no other endpoint of Service {service} is ready"
        ));
    }
    if let Some(left) = leaving.dns_ms.and_then(|left| left.checked_sub(age)) {
        now.push_str(&format!(
            "; goes on accepting for {}, since clients find it by DNS alone",
            seconds(left)
        ));
    }
    let mut sentence = format!("{word} for {elapsed}: {now}; cut in {left}");
    // What is in flight before that holds nothing: the pod is as good as in service. One that goes
    // on accepting for want of another waits for the oldest.
    if report.phase == Phase::Draining || leaving.alone_in.is_some() {
        add(&mut sentence, held_by(&report.now.holders, age));
    }
    sentence
}

/// A drain that ended, from its outcome on: "Drained after 3.2s: 12 requests finished".
pub fn outcome(mode: Mode, drain: &Drain) -> String {
    let Drain { outcome, .. } = drain;
    match outcome {
        Outcome::Skipped if drain.abandoned.is_empty() => {
            "Skipped: the policy is disabled, or selects the pod no more".to_owned()
        }
        Outcome::Drained
        | Outcome::Broken
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Skipped
        | Outcome::Killed => format!("{outcome} after {}", summary(mode, drain)),
    }
}

/// What came of a drain in this mode: "5m0s: 12 requests finished, 1 connection cut (open for 41m);
/// out of endpoints after 0.3s; waited 0.3s for the endpoints, 2.1s for quiet and 4m57s for the
/// last request"; and, where it was ended too early, who held it.
pub fn summary(mode: Mode, drain: &Drain) -> String {
    let observed = mode == Mode::Observe;
    let mut sentence = format!("{}: ", short(drain.took_ms));
    sentence.push_str(&finished(drain.finished, observed));
    if drain.unseen > 0 {
        let unseen = count(drain.unseen, "connection");
        sentence.push_str(&format!(", {unseen} ended unseen"));
    }
    let cut = works(&drain.cut);
    if !cut.is_empty() {
        let cut_or_left = if observed { "left in flight" } else { "cut" };
        sentence.push_str(&format!(", {cut} {cut_or_left}"));
        if let Some(oldest) = drain.oldest_cut_ms {
            sentence.push_str(&format!(" (open for {})", seconds(oldest)));
        }
    }
    let broken = works(&drain.broken);
    if !broken.is_empty() {
        sentence.push_str(&format!(", {broken} broken off by the app"));
    }
    let abandoned = works(&drain.abandoned);
    if !abandoned.is_empty() {
        sentence.push_str(&format!(
            ", {abandoned} in flight when the policy was disabled, or selected the pod no more"
        ));
    }
    if drain.given_up > 0 {
        sentence.push_str(&format!(", {} given up by clients", drain.given_up));
    }
    if drain.handed_over > 0 {
        let handed_over = count(drain.handed_over, "connection");
        sentence.push_str(&format!(", {handed_over} left to the app's shutdown"));
    }
    if drain.idle_closed > 0 {
        let idle = count(drain.idle_closed, "idle connection");
        sentence.push_str(&format!(", {idle} closed"));
    }
    if drain.one_way_closed > 0 {
        let silent = count(drain.one_way_closed, "silent one-way connection");
        sentence.push_str(&format!(", {silent} closed"));
    }
    if let Some(gone) = drain.endpoints_gone_ms {
        sentence.push_str(&format!("; out of endpoints after {}", short(gone)));
    }
    if drain.late > 0 {
        sentence.push_str(&format!(
            "; {} came after that",
            count(drain.late, "request")
        ));
    }
    if drain.bypassing > 0 {
        let bypassing = count(drain.bypassing, "connection");
        sentence.push_str(&format!("; {bypassing} bypassed the sidecar"));
    }
    add(&mut sentence, waited(&drain.parts));
    add(&mut sentence, held_by(&drain.holders, 0));
    sentence
}

fn add(sentence: &mut String, more: Option<String>) {
    if let Some(more) = more {
        sentence.push_str("; ");
        sentence.push_str(&more);
    }
}

/// How much has finished, as far as it can be told: where connections are only `observed`, what
/// begins and ends between two looks is not seen.
pub fn finished(number: u64, observed: bool) -> String {
    match (observed, number) {
        (true, 0) => "what finished can't be counted in mode Observe".to_owned(),
        (true, number) => format!("at least {} finished", count(number, "request")),
        (false, number) => format!("{} finished", count(number, "request")),
    }
}

/// "3 requests in flight (oldest 14s) on 14 connections".
fn open(now: &Census) -> String {
    let mut sentence = match works(&now.in_flight) {
        none if none.is_empty() => "nothing in flight".to_owned(),
        works => format!("{works} in flight"),
    };
    if let Some(oldest) = now.oldest_ms {
        sentence.push_str(&format!(" (oldest {})", seconds(oldest)));
    }
    // The numbers come from a sidecar; none of them is taken on trust.
    let connections = now.connections.values();
    let connections = connections.fold(0_u64, |sum, number| sum.saturating_add(*number));
    sentence.push_str(&format!(" on {}", count(connections, "connection")));
    if now.bypassing > 0 {
        sentence.push_str(&format!(" ({} past the sidecar)", now.bypassing));
    }
    sentence
}

/// "2 requests, 1 WebSocket and 1 connection"; empty if there is none.
fn works(works: &BTreeMap<Protocol, u64>) -> String {
    let of = |one: &str| {
        let each = works
            .iter()
            .filter(|(protocol, _)| noun(**protocol) == one)
            .map(|(_, number)| *number);
        let number = each.fold(0, u64::saturating_add);
        (number > 0).then(|| count(number, one))
    };
    let order = [
        Protocol::Http1,
        Protocol::EventStream,
        Protocol::WebSocket,
        Protocol::Tls,
        Protocol::Opaque,
    ];
    let parts: Vec<_> = order
        .into_iter()
        .filter_map(|first| of(noun(first)))
        .collect();
    match parts.split_last() {
        Some((last, others)) if others.len() > 1 => format!("{} and {last}", others.join(", ")),
        _ => parts.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{draining, timed_out};
    use ebb_api::report::{HOLDERS, Holder, Parts, WaitsFor};

    fn summary(drain: &Drain) -> String {
        super::summary(Mode::Transparent, drain)
    }

    fn outcome(drain: &Drain) -> String {
        super::outcome(Mode::Transparent, drain)
    }

    /// The sentences of the documentation, word for word.
    #[test]
    fn sentences_are_those_of_the_documentation() {
        assert_eq!(
            progress(&draining(), Duration::ZERO),
            "Draining for 12s: 1 request in flight (oldest 14s) on 14 connections; cut in 4m48s; \
             held by 10.244.1.9:41822 to port 8080 (request for 14s, 310 B in, 0 B out, waits for \
             the app)"
        );
        assert_eq!(
            summary(&timed_out()),
            "5m0s: 12 requests finished, 1 connection cut (open for 41m); out of endpoints after \
             0.3s; waited 0.3s for the endpoints, 2.1s for quiet and 4m57s for the last request; \
             held by 10.244.1.9:41822 to port 8080 (connection for 41m, 5.3 kB in, 64 kB out, \
             waits for the app)"
        );
    }

    /// Where connections are only observed nothing is said to be none that can't be counted, and
    /// nothing to be cut.
    #[test]
    fn what_cannot_be_counted_is_not_none() {
        let mut drain = Drain {
            finished: 0,
            unseen: 2,
            ..timed_out()
        };
        let told = super::summary(Mode::Observe, &drain);
        assert!(
            told.starts_with(
                "5m0s: what finished can't be counted in mode Observe, 2 connections ended unseen, \
                 1 connection left in flight (open for 41m); out of endpoints after 0.3s; "
            ),
            "{told}"
        );
        drain.finished = 1;
        let told = super::summary(Mode::Observe, &drain);
        assert!(
            told.starts_with("5m0s: at least 1 request finished, 2"),
            "{told}"
        );
    }

    /// What was handed over is told apart from what was cut, for it may have ended well.
    #[test]
    fn what_was_handed_over_is_told() {
        let drain = Drain {
            handed_over: 2,
            ..timed_out()
        };
        let told = summary(&drain);
        assert!(
            told.starts_with(
                "5m0s: 12 requests finished, 1 connection cut (open for 41m), 2 connections left \
                 to the app's shutdown; out of endpoints after 0.3s; "
            ),
            "{told}"
        );
    }

    /// What the app broke off is told apart from what was cut, and from what clients gave up.
    #[test]
    fn whoever_ended_it_is_named() {
        let mut report = draining();
        let broken = BTreeMap::from([(Protocol::Http1, 2), (Protocol::WebSocket, 1)]);
        report.leaving.as_mut().unwrap().broken = broken.clone();
        let told = progress(&report, Duration::ZERO);
        assert!(
            told.starts_with(
                "Draining for 12s: 1 request in flight (oldest 14s) on 14 connections; 2 requests \
                 and 1 WebSocket broken off by the app; cut in 4m48s; "
            ),
            "{told}"
        );
        let drain = Drain {
            outcome: Outcome::Broken,
            cut: BTreeMap::new(),
            broken,
            given_up: 4,
            ..timed_out()
        };
        let told = outcome(&drain);
        assert!(
            told.starts_with(
                "Broken after 5m0s: 12 requests finished, 2 requests and 1 WebSocket broken off by \
                 the app, 4 given up by clients; out of endpoints after 0.3s; "
            ),
            "{told}"
        );
    }

    /// A drain that is called off from outside says what it left behind.
    #[test]
    fn what_was_abandoned_is_told() {
        let mut drain = Drain {
            outcome: Outcome::Skipped,
            cut: BTreeMap::new(),
            ..timed_out()
        };
        assert_eq!(
            outcome(&drain),
            "Skipped: the policy is disabled, or selects the pod no more"
        );
        drain.abandoned = BTreeMap::from([(Protocol::Http2, 2)]);
        let told = outcome(&drain);
        assert!(
            told.starts_with(
                "Skipped after 5m0s: 12 requests finished, 2 requests in flight when the policy \
                 was disabled, or selected the pod no more; out of endpoints after 0.3s; "
            ),
            "{told}"
        );
    }

    /// So is what only its client spoke on.
    #[test]
    fn what_went_one_way_is_told() {
        let drain = Drain {
            one_way_closed: 1,
            ..timed_out()
        };
        let told = summary(&drain);
        assert!(
            told.contains("41m), 1 silent one-way connection closed; out"),
            "{told}"
        );
    }

    /// Connections that the sidecar could not tell to leave are named, where there were any.
    #[test]
    fn what_bypassed_the_sidecar_is_named() {
        let mut report = draining();
        report.now.bypassing = 2;
        let told = progress(&report, Duration::ZERO);
        assert!(
            told.contains("on 14 connections (2 past the sidecar);"),
            "{told}"
        );
        let drain = Drain {
            bypassing: 1,
            ..timed_out()
        };
        let told = summary(&drain);
        assert!(
            told.contains("; 1 connection bypassed the sidecar; waited "),
            "{told}"
        );
    }

    /// A report grows old between two of them; the sentence does not stand still.
    #[test]
    fn an_old_report_is_told_as_of_now() {
        let told = progress(&draining(), Duration::from_secs(8));
        assert!(told.starts_with("Draining for 20s: "), "{told}");
        assert!(told.contains("cut in 4m40s; "), "{told}");
        assert!(told.contains("(request for 22s, "), "{told}");
    }

    /// A pod that accepts for longer, since clients could go nowhere else, says so, and who holds
    /// it.
    #[test]
    fn who_is_alone_goes_on_accepting() {
        let mut report = draining();
        report.phase = Phase::Deregistering;
        report.leaving.as_mut().unwrap().alone_in = Some("web".to_owned());
        let told = progress(&report, Duration::ZERO);
        assert!(
            told.starts_with(
                "Deregistering for 12s: 1 request in flight (oldest 14s) on 14 connections; goes \
                 on accepting, since no other endpoint of Service web is ready; cut in 4m48s; held \
                 by 10.244.1.9:41822 "
            ),
            "{told}"
        );
    }

    /// So does one whose clients may have old answers of DNS, and until when.
    #[test]
    fn who_is_found_by_dns_goes_on_accepting() {
        let mut report = draining();
        report.phase = Phase::Deregistering;
        report.leaving.as_mut().unwrap().dns_ms = Some(20_000);
        let told = |age| progress(&report, Duration::from_secs(age));
        let words = "; goes on accepting for 12s, since clients find it by DNS alone; cut in ";
        assert!(told(8).contains(words), "{}", told(8));
        assert!(!told(21).contains("DNS"), "{}", told(21));
    }

    /// While the pod still accepts, what is in flight is what always is, and nobody is named.
    #[test]
    fn nobody_holds_a_pod_that_accepts() {
        let mut report = draining();
        report.phase = Phase::Deregistering;
        let told = progress(&report, Duration::ZERO);
        assert!(told.ends_with("cut in 4m48s"), "{told}");
    }

    /// An older sidecar tells neither what it waited for nor who held it.
    #[test]
    fn an_older_sidecar_s_drain_is_told() {
        let drain = Drain {
            parts: Parts::default(),
            holders: Vec::new(),
            ..timed_out()
        };
        let told = summary(&drain);
        assert!(told.ends_with("; out of endpoints after 0.3s"), "{told}");
    }

    /// However long addresses and numbers are, what came of a drain fits into an Event.
    #[test]
    fn what_came_of_a_drain_fits_into_an_event() {
        let long = Holder {
            client: ([0xfd00, 1, 2, 3, 4, 5, 6, 0xffff], 60_000).into(),
            port: 60_000,
            protocol: Protocol::Tls,
            in_flight: 1000,
            age_ms: 3_599_000,
            received: 999_999,
            sent: 999_999,
            waits_for: WaitsFor::Request,
        };
        let drain = Drain {
            holders: vec![long; HOLDERS],
            ..timed_out()
        };
        let told = summary(&drain);
        assert!(told.len() < 1024, "{}: {told}", told.len());
    }

    /// One of something is one of something.
    #[test]
    fn numbers_agree_with_their_nouns() {
        let mut report = draining();
        report.now.connections = BTreeMap::from([(Protocol::Opaque, 1)]);
        report.now.in_flight = BTreeMap::from([(Protocol::Opaque, 1), (Protocol::Http1, 1)]);
        let told = progress(&report, Duration::ZERO);
        assert!(
            told.contains("1 request and 1 connection in flight (oldest 14s) on 1 connection;"),
            "{told}"
        );
        report.now = Census::default();
        let told = progress(&report, Duration::ZERO);
        assert!(
            told.contains("nothing in flight on 0 connections;"),
            "{told}"
        );
    }

    /// Each kind of thing that was cut has its name, since each is lost in its own way.
    #[test]
    fn every_protocol_has_its_noun() {
        let mut drain = timed_out();
        let sentence = |drain: &Drain| {
            let summary = summary(drain);
            let begin = summary.find("finished, ").unwrap() + "finished, ".len();
            summary[begin..summary.find(" cut").unwrap()].to_owned()
        };
        for (protocol, noun) in [
            (Protocol::Http1, "1 request"),
            (Protocol::Http2, "1 request"),
            (Protocol::WebSocket, "1 WebSocket"),
            (Protocol::EventStream, "1 event stream"),
            (Protocol::Tls, "1 TLS connection"),
            (Protocol::Opaque, "1 connection"),
        ] {
            drain.cut = BTreeMap::from([(protocol, 1)]);
            assert_eq!(sentence(&drain), noun);
        }
        drain.cut = Protocol::ALL.into_iter().zip(1..).collect();
        assert_eq!(
            sentence(&drain),
            "3 requests, 6 event streams, 3 WebSockets, 5 TLS connections and 4 connections"
        );
    }
}
