//! Resources of our containers that the LimitRanges of the namespace admit, so that no pod is
//! refused because of Ebb.
//!
//! Instead of a rule for each kind of bound there is one judge, which knows what the API server
//! would say (`judge`), and a list of candidates in the order in which we want them: the first that
//! it has nothing against is taken.

mod judge;
mod pair;

use super::resources::{ContainerResources, Fitted};
use crate::admission::pod::ReviewedPod;
use ebb_api::quantity::Amount;
use ebb_model::views::{Bounds, LimitRangeView};
use judge::Judge;
use pair::{Pair, Rest};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be fitted, and into what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitting<'a> {
    pub(super) pod: &'a ReviewedPod,
    pub(super) ranges: &'a [LimitRangeView],
    /// Whether requests and limits of cpu and memory must stay the same.
    pub(super) is_guaranteed: bool,
    /// The limits that a container gets where it must have some and nobody said which.
    pub(super) fallback: &'a BTreeMap<String, String>,
}

impl Fitting<'_> {
    /// What of `wanted` is admitted, or is nearest to it, and a sentence about each resource of
    /// which it is not what was wanted.
    ///
    /// # Errors
    ///
    /// Fails with such a sentence if there is nothing that is admitted.
    pub(super) fn fit(self, wanted: &ContainerResources) -> Result<Fitted, String> {
        let mut resources = wanted.clone();
        let mut told = Vec::new();
        for resource in self.resources(wanted) {
            let amount = |all: &BTreeMap<String, String>| Amount::read(all.get(resource)?);
            let asked = Pair {
                request: amount(&wanted.requests),
                limit: amount(&wanted.limits),
            };
            let judge = Judge {
                resource,
                ranges: self.ranges,
                rest: Rest::of(self.pod, resource),
                equal: self.is_guaranteed
                    && asked.limit.is_some()
                    && ["cpu", "memory"].contains(&resource),
            };
            let Some(why) = judge.objection(&asked.sizes()) else {
                continue;
            };
            let fallback = amount(self.fallback);
            let mut candidates = candidates(&judge, &asked, fallback.as_ref()).into_iter();
            let found = candidates.find(|pair| judge.objection(&pair.sizes()).is_none());
            let found = found.ok_or_else(|| {
                let asked = said(asked.request.as_ref());
                format!("{resource} {asked} and any other amount is refused: {why}")
            })?;
            let mut changed = Vec::new();
            for (what, all, wanted, found) in [
                (
                    "request",
                    &mut resources.requests,
                    asked.request,
                    found.request,
                ),
                ("limit", &mut resources.limits, asked.limit, found.limit),
            ] {
                if wanted != found {
                    let (found, wanted) = (said(found.as_ref()), said(wanted.as_ref()));
                    changed.push(format!("{resource} {what} {found} instead of {wanted}"));
                }
                all.remove(resource);
                all.extend(found.map(|amount| (resource.to_owned(), amount.to_string())));
            }
            told.push(format!("{}: {why}", changed.join(", ")));
        }
        Ok(Fitted { resources, told })
    }

    /// All that is asked for, and all that LimitRanges ask of each container.
    fn resources<'a>(&'a self, wanted: &'a ContainerResources) -> BTreeSet<&'a str> {
        let bounds = self.ranges.iter().flat_map(|range| &range.container);
        let bounded = bounds.flat_map(Bounds::resources);
        let asked = wanted.requests.keys().chain(wanted.limits.keys());
        asked.chain(bounded).map(String::as_str).collect()
    }
}

fn said(amount: Option<&Amount>) -> String {
    amount.map_or("none".to_owned(), Amount::to_string)
}

/// What may be admitted, the best first.
///
/// A limit that was asked for is kept as long as there is a request that fits it, and so is having
/// none. Where one is forced upon us, the fallback is better than a larger one, which may cost a
/// large request. A request is rather raised than lowered.
fn candidates(
    judge: &Judge<'_>,
    asked: &Pair<Amount>,
    fallback: Option<&Amount>,
) -> Vec<Pair<Amount>> {
    let marks = judge.marks();
    let pairs = |limit: Option<Amount>| {
        let computed = judge.requests_for(limit.as_ref());
        let all = marks.iter().chain(&asked.request).chain(&limit);
        let mut requests: Vec<_> = all.chain(&computed).cloned().collect();
        requests.push(Amount::thousandths(0));
        sort(&mut requests, asked.request.as_ref());
        let pair = move |request| Pair {
            request: Some(request),
            limit: limit.clone(),
        };
        requests.into_iter().map(pair)
    };
    let is_unlimited = asked.limit.is_none();
    let as_good = fallback.filter(|_| is_unlimited).cloned().map(Some);
    let limits = [asked.limit.clone()].into_iter().chain(as_good);
    let mut all: Vec<_> = limits.flat_map(pairs).collect();
    // Stable: of equal requests the one beside the better limit stays first.
    all.sort_by_key(|pair| distance(pair.request.as_ref(), asked.request.as_ref()));

    let others = marks.iter().chain(fallback).chain(&asked.request);
    let mut others: Vec<_> = others.filter(|it| it.billionths > 0).cloned().collect();
    sort(&mut others, asked.limit.as_ref().or(fallback));
    let others = others.into_iter().map(Some).chain([None]);
    all.extend(others.flat_map(pairs));
    all
}

/// From the reference upwards, then downwards.
fn sort(amounts: &mut Vec<Amount>, reference: Option<&Amount>) {
    amounts.sort_by_key(|amount| distance(Some(amount), reference));
    amounts.dedup_by_key(|amount| amount.billionths);
}

fn distance(amount: Option<&Amount>, reference: Option<&Amount>) -> (bool, u128) {
    let [size, reference] = [amount, reference].map(|it| it.map_or(0, |it| it.billionths));
    let is_below = size < reference;
    (is_below, if is_below { reference - size } else { size })
}
