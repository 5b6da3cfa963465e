//! The lines of the log by which a person follows a drain.

use crate::capture::Words;
use crate::drain::Milestone;
use ebb_api::phase::Outcome;
use ebb_api::report::{Drain, Holder};

/// Writes the line of a milestone, with the words that are true in the mode in force. `holders` are
/// the oldest of what is in flight.
pub(super) fn write(milestone: &Milestone, words: &Words, holders: &[Holder]) {
    match milestone {
        Milestone::Signal(trigger) => tracing::info!(%trigger, "signal seen, the pod is leaving"),
        Milestone::Restated(trigger) => tracing::info!(%trigger, "reason for leaving corrected"),
        Milestone::EndpointsGone => tracing::info!("endpoints gone"),
        Milestone::Alone(service) => tracing::info!(
            service,
            "no other endpoint of the Service is ready, the pod goes on accepting"
        ),
        Milestone::Relieved => tracing::info!("another endpoint is ready"),
        Milestone::Unready => tracing::info!("readiness withdrawn"),
        Milestone::Draining { in_flight } => {
            tracing::info!(in_flight, "{}", words.draining);
            holders.iter().for_each(name);
        }
        Milestone::Broken { in_all } => tracing::warn!(
            broken = in_all,
            "the app breaks off what is in flight: it closed its side, or its process ended"
        ),
        Milestone::LastByte => tracing::info!("{}", words.last_byte),
        Milestone::Cutting {
            in_flight,
            handed_over,
        } => tracing::warn!(in_flight, handed_over, "{}", words.cutting),
        Milestone::Ended(drain) => ended(drain, words),
        Milestone::CalledOff(drain) => tracing::warn!(
            trigger = %drain.trigger,
            "drain called off: it was taken back, or neither SIGTERM nor the controller followed it"
        ),
        Milestone::BackInService => tracing::info!("back in service"),
        Milestone::Sigterm => tracing::info!("SIGTERM"),
    }
}

fn name(holder: &Holder) {
    tracing::info!(
        client.addr = %holder.client,
        app.port = holder.port,
        protocol = holder.protocol.as_str(),
        in_flight = holder.in_flight,
        age_ms = holder.age_ms,
        received = holder.received,
        sent = holder.sent,
        waits_for = %holder.waits_for,
        "holds the drain"
    );
}

fn ended(drain: &Drain, words: &Words) {
    drain.holders.iter().for_each(name);
    // A macro, since the level of a line is a constant.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                outcome = %drain.outcome,
                took_ms = drain.took_ms,
                endpoints_ms = drain.parts.endpoints_ms,
                quiet_ms = drain.parts.quiet_ms,
                last_request_ms = drain.parts.last_request_ms,
                idle_clients_ms = drain.parts.idle_clients_ms,
                goodbyes_ms = drain.parts.goodbyes_ms,
                finished = drain.finished,
                cut = drain.cut_in_all(),
                broken = drain.broken_in_all(),
                abandoned = drain.abandoned_in_all(),
                given_up = drain.given_up,
                unseen = drain.unseen,
                "{}",
                words.ended
            )
        };
    }
    match drain.outcome {
        Outcome::TimedOut | Outcome::Broken => line!(warn),
        Outcome::Skipped if drain.abandoned_in_all() > 0 => line!(warn),
        Outcome::Drained | Outcome::Cancelled | Outcome::Skipped | Outcome::Killed => line!(info),
    }
}
