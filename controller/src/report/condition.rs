//! A condition as a status holds it: what was found, and since when.

use ebb_model::text::conditions::Finding;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The condition of a finding. `before` are the conditions of the status as it stands: the time is
/// that of the last change from true to false or back, not of the last change of words.
pub fn condition(
    finding: Finding,
    before: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Condition {
    let status = if finding.holds { "True" } else { "False" };
    let same = before
        .iter()
        .find(|condition| condition.type_ == finding.kind && condition.status == status);
    Condition {
        last_transition_time: same.map_or(Time(whole_seconds(now)), |condition| {
            condition.last_transition_time.clone()
        }),
        message: finding.message,
        observed_generation: Some(generation),
        reason: finding.reason,
        status: status.to_owned(),
        type_: finding.kind.to_owned(),
    }
}

/// The API server keeps whole seconds; what is written must compare equal with what is read back.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("the same second is in range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_model::fixtures::policy;
    use ebb_model::plan::reach::Reach;
    use ebb_model::text::conditions::{invalid, ready};

    fn reach(selected: u32) -> Reach {
        let mut reach = Reach::default();
        reach.targets.selected = selected;
        reach
    }

    /// The time of a condition moves only when its status does.
    #[test]
    fn a_condition_keeps_its_time_until_it_turns() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let policy = policy("web", 1);
        let first = condition(ready(&policy, &reach(1)), &[], 1, at(10));
        let before = [first.clone()];
        let more = condition(ready(&policy, &reach(2)), &before, 1, at(20));
        assert_eq!(more.last_transition_time, first.last_transition_time);
        assert_ne!(more.message, first.message);
        let turned = condition(invalid("it is empty"), &before, 2, at(30));
        assert_eq!(turned.last_transition_time.0, at(30));
    }
}
