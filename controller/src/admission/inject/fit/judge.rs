//! What the API server would say of a container of ours, about one resource.
//!
//! The rules are those of the admission plug-in LimitRanger (Kubernetes 1.35,
//! plugin/pkg/admission/limitranger/admission.go), and of the validation of pods beside it. What it
//! refuses in the pod as it came is not ours to mend, and no objection here.

use super::pair::{Pair, Rest};
use ebb_api::quantity::Amount;
use ebb_model::views::{Bounds, LimitRangeView};
use std::collections::BTreeMap;

/// The least memory of a container, in billionths of a byte: with less, none starts.
const LEAST_MEMORY: u128 = (4 << 20) * 1_000_000_000;

/// One resource of a pod, and all that bounds it.
#[derive(Clone, Debug)]
pub(super) struct Judge<'a> {
    pub(super) resource: &'a str,
    pub(super) ranges: &'a [LimitRangeView],
    pub(super) rest: Rest,
    /// Whether the container must have a limit that equals its request: one without would take the
    /// pod out of its class.
    pub(super) equal: bool,
}

// === impl Judge ===

impl Judge<'_> {
    /// Why a container with this request and limit would be refused; `None` if it would not.
    pub(super) fn objection(&self, pair: &Pair<u128>) -> Option<String> {
        if self.equal && (pair.request != pair.limit || pair.limit.is_none_or(|it| it == 0)) {
            return Some("the pod is of the class Guaranteed".to_owned());
        }
        // Which LimitRange fills in its defaults first is not determined.
        let firsts = 0..self.ranges.len().max(1);
        let mut objections = firsts.map(|first| self.objection_to(&self.filled(pair, first)));
        objections.find_map(|objection| objection)
    }

    /// What becomes of a container where the API server and then LimitRanger have filled in what it
    /// does not say.
    fn filled(&self, pair: &Pair<u128>, first: usize) -> Pair<u128> {
        let (before, after) = self.ranges.split_at(first.min(self.ranges.len()));
        let bounds = || {
            after
                .iter()
                .chain(before)
                .flat_map(|range| &range.container)
        };
        let default = |of: fn(&Bounds) -> &BTreeMap<String, Amount>| {
            let mut amounts = bounds().filter_map(|bounds| of(bounds).get(self.resource));
            amounts.next().map(|amount| amount.billionths)
        };
        let request = pair.request.or(pair.limit);
        Pair {
            request: request.or_else(|| default(|bounds| &bounds.default_request)),
            limit: pair.limit.or_else(|| default(|bounds| &bounds.default)),
        }
    }

    fn objection_to(&self, ours: &Pair<u128>) -> Option<String> {
        let own = &self.rest.own;
        if self.resource == "memory" && ours.limit.is_some_and(|limit| limit < LEAST_MEMORY) {
            return Some("a container with less than 4Mi of memory does not start".to_owned());
        }
        if let (Some(request), Some(limit)) = (ours.request, ours.limit)
            && request > limit
        {
            return Some(match self.default() {
                Some((range, default)) => format!("the LimitRange {range} has default {default}"),
                None => "a request is at most its limit".to_owned(),
            });
        }
        let together = self.rest.sum.plus(*ours);
        let exceeds = |part: Option<u128>, whole: Option<u128>| {
            whole.is_some_and(|whole| part.is_some_and(|part| part > whole))
        };
        if exceeds(together.request, own.request) && !exceeds(self.rest.sum.request, own.request)
            || exceeds(ours.limit, own.limit)
        {
            return Some("the resources of the pod itself leave no more".to_owned());
        }
        self.ranges.iter().find_map(|range| {
            let name = &range.name;
            let said =
                |what: String, of: &str| format!("the LimitRange {name} has {what} for {of}");
            let mut bounds = range.container.iter();
            let container = bounds.find_map(|bounds| self.broken(bounds, ours));
            let pod = || {
                let mut bounds = range.pod.iter();
                let whole = |sum: Pair<u128>| Pair {
                    request: own.request.or(sum.request),
                    limit: own.limit.or(sum.limit),
                };
                bounds.find_map(|bounds| {
                    let before = self.broken(bounds, &whole(self.rest.sum));
                    let after = self.broken(bounds, &whole(together));
                    after.filter(|_| before.is_none())
                })
            };
            let container = container.map(|what| said(what, "each container"));
            container.or_else(|| pod().map(|what| said(what, "the pod as a whole")))
        })
    }

    /// Amounts at which a bound is just met.
    pub(super) fn marks(&self) -> Vec<Amount> {
        let each = self.ranges.iter().flat_map(|range| &range.container);
        let each = each.flat_map(|it| [&it.min, &it.max, &it.default, &it.default_request]);
        let of_each = each.filter_map(|amounts| amounts.get(self.resource).cloned());
        let Rest { sum, own } = &self.rest;
        let whole = self.ranges.iter().flat_map(|range| &range.pod);
        let whole = whole.filter_map(|bounds| bounds.max.get(self.resource));
        let whole = whole.flat_map(|max| [sum.request, sum.limit].map(|it| (max.billionths, it)));
        let own = [(own.request, sum.request), (own.limit, None)];
        let own = own.into_iter().filter_map(|(own, sum)| Some((own?, sum)));
        let rooms = whole.chain(own).filter_map(|(most, taken)| {
            let room = most.checked_sub(taken.unwrap_or(0))?;
            Some(self.at_most(room / 1_000_000))
        });
        of_each.chain(rooms).collect()
    }

    /// The least requests that a limit goes with, by the ratios of LimitRanges.
    pub(super) fn requests_for(&self, limit: Option<&Amount>) -> Vec<Amount> {
        let Some(limit) = limit.or(self.default().map(|(_, amount)| amount)) else {
            return Vec::new();
        };
        let least = |limit: u128, bounds: &Bounds| {
            let ratio = thousandths(bounds.ratio.get(self.resource)?.billionths);
            Some(
                thousandths(limit)
                    .saturating_mul(1000)
                    .div_ceil(ratio.max(1)),
            )
        };
        let each = self.ranges.iter().flat_map(|range| &range.container);
        let each = each.filter_map(|bounds| least(limit.billionths, bounds));
        let whole = self.ranges.iter().flat_map(|range| &range.pod);
        let whole = whole.filter_map(|bounds| {
            let sum = &self.rest.sum;
            let together = sum.limit.unwrap_or(0).saturating_add(limit.billionths);
            least(together, bounds)?.checked_sub(thousandths(sum.request.unwrap_or(0)))
        });
        let all = each.chain(whole);
        all.map(|request| self.at_least(request)).collect()
    }

    fn at_least(&self, thousandths: u128) -> Amount {
        Amount::thousandths(thousandths.next_multiple_of(self.unit()))
    }

    fn at_most(&self, thousandths: u128) -> Amount {
        Amount::thousandths(thousandths / self.unit() * self.unit())
    }

    /// Only cpu comes in parts of its unit. In thousandths.
    fn unit(&self) -> u128 {
        if self.resource == "cpu" { 1 } else { 1000 }
    }

    /// A default of a LimitRange, with its name.
    fn default(&self) -> Option<(&str, &Amount)> {
        let mut all = self.ranges.iter().flat_map(|range| {
            let amounts = range
                .container
                .iter()
                .map(|it| it.default.get(self.resource));
            amounts
                .flatten()
                .map(|amount| (range.name.as_str(), amount))
        });
        all.next()
    }

    /// What of these bounds does not hold.
    fn broken(&self, bounds: &Bounds, pair: &Pair<u128>) -> Option<String> {
        let Pair { request, limit } = pair;
        let of = |amounts: &BTreeMap<String, Amount>| amounts.get(self.resource).cloned();
        if let Some(min) = of(&bounds.min) {
            let least = thousandths(min.billionths);
            let is_below = |amount: u128| thousandths(amount) < least;
            if request.is_none_or(is_below) || limit.is_some_and(is_below) {
                return Some(format!("min {min}"));
            }
        }
        if let Some(max) = of(&bounds.max) {
            let most = thousandths(max.billionths);
            let is_above = |amount: u128| thousandths(amount) > most;
            if limit.is_none_or(is_above) || request.is_some_and(is_above) {
                return Some(format!("max {max}"));
            }
        }
        if let Some(ratio) = of(&bounds.ratio) {
            let [request, limit] = [request, limit].map(|it| it.map_or(0, thousandths));
            let most = request.saturating_mul(thousandths(ratio.billionths));
            if request == 0 || limit == 0 || limit.saturating_mul(1000) > most {
                return Some(format!("maxLimitRequestRatio {ratio}"));
            }
        }
        None
    }
}

/// As fine as LimitRanger compares.
fn thousandths(billionths: u128) -> u128 {
    billionths.div_ceil(1_000_000)
}
