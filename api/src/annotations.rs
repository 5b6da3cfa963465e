//! What the annotations of a pod ask of Ebb, and what of that can't be done.
//!
//! The webhook acts on it and warns whoever makes the pod; the controller, which reads the same
//! annotations from the pod that was made, says it in the policy's status. An annotation that can't
//! be used is as if it were not there: the pod starts all the same.

use crate::names::{OWN_HOOK_ANNOTATION, OwnHookTime};
use crate::quantity::billionths;
use std::fmt;

/// Annotation: the sidecar's request of cpu.
pub const CPU: &str = "ebb.dev/sidecar-cpu";
/// Annotation: the sidecar's limit of cpu.
pub const CPU_LIMIT: &str = "ebb.dev/sidecar-cpu-limit";
/// Annotation: the sidecar's request of memory.
pub const MEMORY: &str = "ebb.dev/sidecar-memory";
/// Annotation: the sidecar's limit of memory.
pub const MEMORY_LIMIT: &str = "ebb.dev/sidecar-memory-limit";

/// The least memory, in billionths of a byte: what a sidecar takes that has nothing to do. Less is
/// a mistake, such as 64 or 64m for 64Mi, and with such a limit no container starts.
const LEAST_MEMORY: u128 = (4 << 20) * 1_000_000_000;

/// The letters of a value that are shown.
const SHOWN: usize = 40;

/// What is asked for of one resource, in the words of the annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// The request.
    pub request: Option<String>,
    /// The limit, which is not below the request.
    pub limit: Option<String>,
}

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The sidecar's cpu.
    pub cpu: Amounts,
    /// The sidecar's memory.
    pub memory: Amounts,
    /// What can't be used.
    pub unusable: Vec<Unusable>,
}

/// An annotation that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unusable {
    /// Its name.
    pub name: &'static str,
    /// Its value, or the beginning of it.
    pub value: String,
    /// What would be right.
    pub allowed: &'static str,
}

// === impl Annotations ===

impl Annotations {
    /// Reads the annotations of a pod through `value`.
    pub fn read<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Annotations {
        let mut all = Annotations::default();
        let cpu = Bounds {
            least: 0,
            allowed: "cores, such as 100m or 0.5",
        };
        let memory = Bounds {
            least: LEAST_MEMORY,
            allowed: "bytes, such as 64Mi, and at least 4Mi",
        };
        all.cpu = all.amounts([CPU, CPU_LIMIT], &cpu, &value);
        all.memory = all.amounts([MEMORY, MEMORY_LIMIT], &memory, &value);
        let hook = value(OWN_HOOK_ANNOTATION);
        if let (Some(text), OwnHookTime::Garbage) = (hook, OwnHookTime::of(hook)) {
            all.refuse(OWN_HOOK_ANNOTATION, text, "start, end or leave");
        }
        all
    }

    fn amounts<'a>(
        &mut self,
        names: [&'static str; 2],
        bounds: &Bounds,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Amounts {
        let [request, limit] = names;
        let request = self.amount(request, value(request), bounds);
        let name = limit;
        let limit = self.amount(limit, value(limit), bounds);
        let limit = limit.filter(|(text, limit)| {
            let fits = request.is_none_or(|(_, request)| request <= *limit);
            if !fits {
                self.refuse(name, text, "at least the request beside it");
            }
            fits
        });
        let text = |amount: Option<(&str, u128)>| amount.map(|(text, _)| text.to_owned());
        Amounts {
            request: text(request),
            limit: text(limit),
        }
    }

    fn amount<'a>(
        &mut self,
        name: &'static str,
        text: Option<&'a str>,
        bounds: &Bounds,
    ) -> Option<(&'a str, u128)> {
        let text = text?;
        let amount = billionths(text).filter(|amount| *amount >= bounds.least);
        if amount.is_none() {
            self.refuse(name, text, bounds.allowed);
        }
        Some((text, amount?))
    }

    fn refuse(&mut self, name: &'static str, text: &str, allowed: &'static str) {
        self.unusable.push(Unusable {
            name,
            value: text.chars().take(SHOWN).collect(),
            allowed,
        });
    }
}

/// What amounts of a resource may be, in billionths of its unit.
struct Bounds {
    least: u128,
    allowed: &'static str,
}

// === impl Unusable ===

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unusable {
            name,
            value,
            allowed,
        } = self;
        write!(formatter, "{name} is {value:?}, not {allowed}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &'static str)]) -> Annotations {
        Annotations::read(|name| {
            let mut all = annotations.iter();
            all.find(|(key, _)| *key == name).map(|(_, value)| *value)
        })
    }

    /// Without annotations nothing is asked for; what is good is handed on as it stands.
    #[test]
    fn good_amounts_are_taken_as_they_stand() {
        assert_eq!(read(&[]), Annotations::default());
        let all = read(&[(CPU, "0.25"), (CPU_LIMIT, "250m"), (MEMORY_LIMIT, "1Gi")]);
        let amounts = |request: Option<&str>, limit: &str| Amounts {
            request: request.map(str::to_owned),
            limit: Some(limit.to_owned()),
        };
        assert_eq!(all.cpu, amounts(Some("0.25"), "250m"));
        assert_eq!(all.memory, amounts(None, "1Gi"));
        assert_eq!(all.unusable, []);
    }

    /// Each that can't be used is left out alone, and told with its value and with what is allowed.
    #[test]
    fn what_cannot_be_used_is_told() {
        for (name, value, sentence) in [
            (CPU, "many", "ebb.dev/sidecar-cpu is \"many\", not cores"),
            (CPU, "-1", "is \"-1\", not cores"),
            (CPU_LIMIT, "1 core", "is \"1 core\""),
            (
                MEMORY,
                "64",
                "ebb.dev/sidecar-memory is \"64\", not bytes, such as 64Mi",
            ),
            (MEMORY, "64m", "at least 4Mi"),
            (MEMORY_LIMIT, "64MB", "is \"64MB\""),
            (
                OWN_HOOK_ANNOTATION,
                "strat",
                "ebb.dev/own-hook is \"strat\", not start, end or leave",
            ),
        ] {
            let all = read(&[
                (name, value),
                (if name == CPU { MEMORY } else { CPU }, "8Mi"),
            ]);
            assert_eq!(all.unusable.len(), 1, "{name}: {value}");
            let said = all.unusable[0].to_string();
            assert!(said.contains(sentence), "{said}");
            let other = if name == CPU { &all.memory } else { &all.cpu };
            assert_eq!(other.request.as_deref(), Some("8Mi"), "{name}: {value}");
        }
        let long = read(&[(CPU, "1234567890123456789012345678901234567890123456789x")]);
        assert_eq!(long.unusable[0].value.len(), SHOWN);
    }

    /// The API server refuses a pod whose limit is below its request.
    #[test]
    fn a_limit_below_its_request_is_left_out() {
        let all = read(&[(CPU, "200m"), (CPU_LIMIT, "100m")]);
        assert_eq!(all.cpu.request.as_deref(), Some("200m"));
        assert_eq!(all.cpu.limit, None);
        let said = all.unusable[0].to_string();
        let expected = "ebb.dev/sidecar-cpu-limit is \"100m\", not at least the request beside it";
        assert_eq!(said, expected);
    }
}
