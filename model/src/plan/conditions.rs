//! What the two conditions of a policy find: Ready (it is in force) and Protected (all its pods can
//! drain). The words are in [`text::conditions`](mod@crate::text::conditions).

use super::protection::Gap;
use super::reach::{Reach, Short};

/// Whether a policy is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It is, for all pods that it selects.
    InForce,
    /// An older policy is in force for some of the pods that it selects.
    Overlapped,
}

/// Whether all pods of a policy can drain.
#[derive(Clone, Debug, PartialEq)]
pub enum Protected<'a> {
    /// There are none.
    NoTargets,
    /// They can.
    AllProtected,
    /// Not all of them.
    Unprotected(Shortfall<'a>),
}

/// The pods of a policy that can't drain.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall<'a> {
    /// The worst gap, and a pod that has it.
    pub worst: &'a (Gap, Short),
    /// All pods with a gap of that reason, the worst among them.
    pub short: Vec<&'a (Gap, Short)>,
    /// All others.
    pub others: Vec<&'a (Gap, Short)>,
}

/// Whether a policy that reaches these pods is in force.
pub fn ready(reach: &Reach) -> Ready {
    if reach.held_by_older.is_empty() {
        Ready::InForce
    } else {
        Ready::Overlapped
    }
}

/// Whether these pods of a policy can drain.
pub fn protected(reach: &Reach) -> Protected<'_> {
    if reach.targets.selected == 0 {
        return Protected::NoTargets;
    }
    let Some(worst) = reach.gaps.iter().min() else {
        return Protected::AllProtected;
    };
    let (short, others) = reach
        .gaps
        .iter()
        .partition(|(gap, _)| gap.reason() == worst.0.reason());
    Protected::Unprotected(Shortfall {
        worst,
        short,
        others,
    })
}

// === impl Ready ===

impl Ready {
    /// Whether the condition is true.
    pub fn holds(self) -> bool {
        match self {
            Ready::InForce => true,
            Ready::Overlapped => false,
        }
    }

    /// The CamelCase word that stands as the condition's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Ready::InForce => "InForce",
            Ready::Overlapped => "Overlapped",
        }
    }
}

// === impl Protected ===

impl Protected<'_> {
    /// Whether the condition is true.
    pub fn holds(&self) -> bool {
        match self {
            Protected::AllProtected => true,
            Protected::NoTargets | Protected::Unprotected(_) => false,
        }
    }

    /// The CamelCase word that stands as the condition's reason.
    pub fn reason(&self) -> &str {
        match self {
            Protected::NoTargets => "NoTargets",
            Protected::AllProtected => "AllProtected",
            Protected::Unprotected(shortfall) => shortfall.worst.0.reason(),
        }
    }
}
