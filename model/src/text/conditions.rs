//! What the two conditions of a policy say, with the command that mends what is wrong.

use super::count::{count, names, plural};
use super::gaps;
use super::values::values;
use crate::plan::conditions::{self, Protected, Ready, Shortfall};
use crate::plan::protection::Remedy;
use crate::plan::reach::{Reach, Short};
use crate::views::{Imposed, Imposer, PolicyView};
use ebb_api::annotations::{CPU_LIMIT, MEMORY_LIMIT};
use ebb_api::capture;
use std::collections::BTreeSet;

/// How many workloads a message gives the command for.
const COMMANDS: usize = 3;

/// What a condition says, before it is known since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `Ready`, `Protected` or `Stalled`.
    pub kind: &'static str,
    /// Whether it is true.
    pub holds: bool,
    /// Why, as one CamelCase word.
    pub reason: String,
    /// Why, as a sentence, with the command that mends it.
    pub message: String,
}

/// The condition Ready of a valid policy.
pub fn ready(policy: &PolicyView, reach: &Reach) -> Finding {
    let ready = conditions::ready(reach);
    let selected = reach.targets.selected;
    let values = values(&policy.settings);
    let message = match ready {
        Ready::InForce => format!("In force for {}: {values}.", pods(selected)),
        Ready::Overlapped => overlapped(reach, &values),
    };
    let corrected = policy.corrected.iter().map(|it| format!(" {it}."));
    Finding {
        kind: "Ready",
        holds: ready.holds(),
        reason: ready.reason().to_owned(),
        message: message + &corrected.collect::<String>(),
    }
}

fn overlapped(reach: &Reach, values: &str) -> String {
    let held: u32 = reach.held_by_older.values().sum();
    let older = names(reach.held_by_older.keys().map(String::as_str));
    let rest = match reach.targets.selected {
        0 => "it is in force for none".to_owned(),
        selected => format!("it is in force for {}: {values}", pods(selected)),
    };
    format!(
        "{held} of the {} that it selects {} to the older {} {older}; {rest}. Where two \
         policies select a pod, the oldest is in force: narrow a selector or delete one.",
        pods(held + reach.targets.selected),
        if held == 1 { "belongs" } else { "belong" },
        plural(reach.held_by_older.len(), "policy", "policies"),
    )
}

/// The condition Ready of an invalid policy, which selects nothing.
pub fn invalid(why: &str) -> Finding {
    Finding {
        kind: "Ready",
        holds: false,
        reason: "Invalid".to_owned(),
        message: format!("The policy is not in force: {why}."),
    }
}

/// The condition Stalled of an invalid policy: waiting is of no use. (What the words mean to
/// programs that wait for objects is in kstatus, sigs.k8s.io/cli-utils.)
pub fn stalled(why: &str) -> Finding {
    Finding {
        kind: "Stalled",
        holds: true,
        ..invalid(why)
    }
}

/// The condition Protected of a valid policy.
pub fn protected(policy: &PolicyView, reach: &Reach) -> Finding {
    let protected = conditions::protected(reach);
    Finding {
        kind: "Protected",
        holds: protected.holds(),
        reason: protected.reason().to_owned(),
        message: match &protected {
            Protected::NoTargets => no_targets(policy, reach),
            Protected::AllProtected => {
                let all = match reach.targets.selected {
                    1 => "Its 1 pod can drain.".to_owned(),
                    selected => format!("All {selected} pods can drain."),
                };
                all + &of_those_protected(reach)
            }
            Protected::Unprotected(shortfall) => {
                unprotected(policy, reach, shortfall) + &of_those_protected(reach)
            }
        },
    }
}

/// What is to be told of pods that can drain, however many others can't.
fn of_those_protected(reach: &Reach) -> String {
    stepped_down(reach) + &fitted(reach) + &imposed(reach) + &waiting_for_memory(reach)
}

/// A sentence for each mode that is not the best and that some pods run in.
fn stepped_down(reach: &Reach) -> String {
    let sentences = reach.stepped_down.iter().map(|((mode, steps), count)| {
        let why = capture::sentence(steps).unwrap_or_default();
        format!(" {} in mode {mode}: {why}.", runs(*count))
    });
    sentences.collect()
}

/// A sentence for each way in which LimitRanges have changed what sidecars ask for.
fn fitted(reach: &Reach) -> String {
    let sentences = reach.fitted.iter().map(|(said, pods)| {
        let has = plural(usize::try_from(*pods).unwrap_or(usize::MAX), "has", "have");
        let said = said.join("; ");
        format!(" {pods} {has} a sidecar whose resources were fitted to the namespace ({said}).")
    });
    sentences.collect()
}

/// A sentence for all limits that others have given to the sidecars of some pods.
fn imposed(reach: &Reach) -> String {
    let sentences = reach.imposed.iter().map(|(imposed, pods)| {
        let limits: Vec<_> = imposed.iter().map(limit).collect();
        format!(
            " {pods} {} a sidecar with {} that Ebb did not ask for ({}); the annotations \
             {CPU_LIMIT} and {MEMORY_LIMIT} on the pods set {}.",
            plural(usize::try_from(*pods).unwrap_or(usize::MAX), "has", "have"),
            plural(imposed.len(), "a limit", "limits"),
            limits.join("; "),
            plural(imposed.len(), "another", "others"),
        )
    });
    sentences.collect()
}

/// A sentence for the pods whose new connections wait for memory.
fn waiting_for_memory(reach: &Reach) -> String {
    let pods = &reach.waiting_for_memory;
    if pods.is_empty() {
        return String::new();
    }
    format!(
        " New connections to {} wait, since the limit of the sidecar's memory is almost reached; \
         the annotation {MEMORY_LIMIT} on the pods sets another.",
        names(pods.iter().map(String::as_str))
    )
}

fn limit(imposed: &Imposed) -> String {
    let by = match imposed.by {
        Imposer::LimitRange => "by a LimitRange",
        Imposer::Unknown => "by another admission webhook or policy",
    };
    format!("{} {}, {by}", imposed.resource, imposed.amount)
}

fn runs(pods: u32) -> String {
    match pods {
        1 => "1 runs".to_owned(),
        pods => format!("{pods} run"),
    }
}

fn no_targets(policy: &PolicyView, reach: &Reach) -> String {
    let held = !reach.held_by_older.is_empty();
    match (held, reach.targets.leaving > 0) {
        (false, false) => format!(
            "No pod of the namespace {} has the labels that the selector asks for.",
            policy.namespace
        ),
        (false, true) => "All pods that it selects are leaving.".to_owned(),
        (true, false) => "All pods that it selects belong to older policies.".to_owned(),
        (true, true) => {
            "All pods that it selects are leaving or belong to older policies.".to_owned()
        }
    }
}

fn unprotected(policy: &PolicyView, reach: &Reach, shortfall: &Shortfall<'_>) -> String {
    let Shortfall {
        worst: (worst, example),
        short,
        others,
    } = shortfall;
    let named = short.iter().map(|(gap, short)| gaps::name(gap, &short.pod));
    let named: BTreeSet<String> = named.collect();
    let short: BTreeSet<&Short> = short.iter().map(|(_, short)| short).collect();
    let mut message = format!(
        "{} of {} {}: {}.",
        short.len(),
        pods(reach.targets.selected),
        gaps::sentence(worst),
        names(named.iter().map(String::as_str)),
    );
    let namespace = &policy.namespace;
    match worst.remedy() {
        Remedy::NewPods => {
            let mending = mending(namespace, "rollout restart", &short);
            message.push_str(&format!("{mending}."));
        }
        Remedy::Edit(change) => {
            let mending = mending(namespace, "edit", &short);
            message.push_str(&format!("{mending}: {}.", gaps::change(change)));
        }
        Remedy::Logs(container) => message.push_str(&format!(
            " See `kubectl -n {namespace} logs {} -c {container}`.",
            example.pod
        )),
        Remedy::Mode => message.push_str(
            " Where their Services name the ports, `capture.mode: NamedPorts` in the policy does \
             more; `Observe` says that no more is asked for.",
        ),
        Remedy::None => {}
    }
    if !others.is_empty() {
        let reasons: BTreeSet<_> = others.iter().map(|(gap, _)| gap.reason()).collect();
        let reasons: Vec<_> = reasons.into_iter().collect();
        message.push_str(&format!(
            " {} more {} for other reasons: {}.",
            others.len(),
            plural(others.len(), "falls short", "fall short"),
            reasons.join(", ")
        ));
    }
    message
}

/// The sentence, without its last dot, with the kubectl command for what makes the pods, or the
/// names of those that no workload makes.
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

fn pods(number: u32) -> String {
    count(number.into(), "pod")
}

#[cfg(test)]
mod tests;
