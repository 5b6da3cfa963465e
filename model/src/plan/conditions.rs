//! The two conditions of a policy: Ready (it is in force) and Protected (all its pods can drain).

use super::protection::Remedy;
use super::reach::{Reach, Short};
use crate::text::values::values;
use crate::views::PolicyView;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::collections::BTreeSet;

/// How many pods a message names.
const NAMED: usize = 3;

/// How many workloads a message gives the command for.
const COMMANDS: usize = 3;

/// What a condition says, before it is known since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `Ready` or `Protected`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, as one CamelCase word.
    pub reason: String,
    /// Why, as a sentence, with the command that mends it.
    pub message: String,
}

/// The condition Ready of a valid policy.
pub fn ready(policy: &PolicyView, reach: &Reach) -> Finding {
    let selected = reach.targets.selected;
    let values = values(&policy.settings);
    if reach.held_by_older.is_empty() {
        return Finding {
            kind: "Ready",
            holds: true,
            reason: "InForce".to_owned(),
            message: format!("In force for {}: {values}.", pods(selected)),
        };
    }
    let held: u32 = reach.held_by_older.values().sum();
    let older = names(reach.held_by_older.keys().map(String::as_str));
    let rest = match selected {
        0 => "it is in force for none".to_owned(),
        selected => format!("it is in force for {}: {values}", pods(selected)),
    };
    Finding {
        kind: "Ready",
        holds: false,
        reason: "Overlapped".to_owned(),
        message: format!(
            "{held} of the {} that it selects {} to the older {} {older}; {rest}. Where two \
             policies select a pod, the oldest is in force: narrow a selector or delete one.",
            pods(held + selected),
            if held == 1 { "belongs" } else { "belong" },
            plural(reach.held_by_older.len(), "policy", "policies"),
        ),
    }
}

/// The condition Ready of a policy that selects nothing because of what it says.
pub fn invalid(why: &str) -> Finding {
    Finding {
        kind: "Ready",
        holds: false,
        reason: "Invalid".to_owned(),
        message: format!("The policy is not in force: {why}."),
    }
}

/// The condition Protected of a valid policy.
pub fn protected(policy: &PolicyView, reach: &Reach) -> Finding {
    let finding = |holds, reason: &str, message| Finding {
        kind: "Protected",
        holds,
        reason: reason.to_owned(),
        message,
    };
    let selected = reach.targets.selected;
    if selected == 0 {
        let held = !reach.held_by_older.is_empty();
        let message = match (held, reach.targets.leaving > 0) {
            (false, false) => format!(
                "No pod of the namespace {} has the labels that the selector asks for.",
                policy.namespace
            ),
            (false, true) => "All pods that it selects are leaving.".to_owned(),
            (true, false) => "All pods that it selects belong to older policies.".to_owned(),
            (true, true) => {
                "All pods that it selects are leaving or belong to older policies.".to_owned()
            }
        };
        return finding(false, "NoTargets", message);
    }
    let Some((worst, example)) = reach.gaps.iter().min() else {
        let message = match selected {
            1 => "Its 1 pod can drain.".to_owned(),
            selected => format!("All {selected} pods can drain."),
        };
        return finding(true, "AllProtected", message);
    };
    let (short, others): (Vec<_>, Vec<_>) = reach
        .gaps
        .iter()
        .partition(|(gap, _)| gap.reason() == worst.reason());
    let named = short.iter().map(|(gap, short)| gap.name(&short.pod));
    let named: BTreeSet<String> = named.collect();
    let short: BTreeSet<&Short> = short.into_iter().map(|(_, short)| short).collect();
    let mut message = format!(
        "{} of {} {}: {}.",
        short.len(),
        pods(selected),
        worst.sentence(),
        names(named.iter().map(String::as_str)),
    );
    match worst.remedy() {
        Remedy::NewPods => {
            let mending = mending(&policy.namespace, "rollout restart", &short);
            message.push_str(&format!("{mending}."));
        }
        Remedy::Edit(change) => {
            let mending = mending(&policy.namespace, "edit", &short);
            message.push_str(&format!("{mending}: {change}."));
        }
        Remedy::Logs(container) => message.push_str(&format!(
            " See `kubectl -n {} logs {} -c {container}`.",
            policy.namespace, example.pod
        )),
        Remedy::None => {}
    }
    if !others.is_empty() {
        let reasons: BTreeSet<_> = others.iter().map(|(gap, _)| gap.reason()).collect();
        let reasons: Vec<_> = reasons.into_iter().collect();
        message.push_str(&format!(
            " {} more {} for other reasons: {}.",
            others.len(),
            if others.len() == 1 {
                "falls short"
            } else {
                "fall short"
            },
            reasons.join(", ")
        ));
    }
    finding(false, worst.reason(), message)
}

/// The sentence, without its last dot, with the kubectl command for what makes the pods, or the
/// names of those that nothing makes.
fn mending(namespace: &str, verb: &str, short: &BTreeSet<&Short>) -> String {
    let mut workloads = BTreeSet::new();
    let mut alone = BTreeSet::new();
    for short in short {
        match &short.owner {
            Some(owner)
                if matches!(
                    owner.kind.as_str(),
                    "Deployment" | "StatefulSet" | "DaemonSet"
                ) =>
            {
                workloads.insert(format!("{}/{}", owner.kind.to_lowercase(), owner.name));
            }
            Some(_) | None => {
                alone.insert(short.pod.as_str());
            }
        }
    }
    let mut sentence = String::new();
    if !workloads.is_empty() {
        let shown: Vec<_> = workloads
            .iter()
            .take(COMMANDS)
            .map(String::as_str)
            .collect();
        let more = match workloads.len() - shown.len() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        sentence.push_str(&format!(
            " Mend it with `kubectl -n {namespace} {verb} {}`{more}",
            shown.join(" ")
        ));
    }
    if !alone.is_empty() {
        if !sentence.is_empty() {
            sentence.push('.');
        }
        sentence.push_str(&format!(
            " Make anew what no rollout replaces: {}",
            names(alone.into_iter())
        ));
    }
    sentence
}

/// Puts a finding beside what the status said before: the time is that of the last change of
/// true to false or back, not of the last word.
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

/// The first names in order, "and 9 more".
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: BTreeSet<&str> = names.collect();
    let shown: Vec<_> = all.iter().take(NAMED).copied().collect();
    match all.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn pods(count: u32) -> String {
    format!("{count} {}", plural(count as usize, "pod", "pods"))
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests;
