//! What a LimitRange asks of the pods of its namespace.

use ebb_api::quantity::Amount;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// A LimitRange, as far as it is about pods and their containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitRangeView {
    /// Its name.
    pub name: String,
    /// What it asks of each container, init containers among them.
    pub container: Vec<Bounds>,
    /// What it asks of a pod as a whole.
    pub pod: Vec<Bounds>,
}

/// One entry of a LimitRange: amounts by resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Neither request nor limit is below; there has to be a request.
    pub min: BTreeMap<String, Amount>,
    /// Neither request nor limit is above; there has to be a limit.
    pub max: BTreeMap<String, Amount>,
    /// A limit is at most this many times its request; there have to be both.
    pub ratio: BTreeMap<String, Amount>,
    /// The limit of a container that has none.
    pub default: BTreeMap<String, Amount>,
    /// The request of a container that has none.
    pub default_request: BTreeMap<String, Amount>,
}

impl LimitRangeView {
    /// Reads one as the API server sends it, which has filled in the defaults that follow from
    /// `max` and `min`. What is no amount is left out: the API server lets none through.
    pub fn of(object: LimitRange) -> LimitRangeView {
        let mut view = LimitRangeView {
            name: object.metadata.name.unwrap_or_default(),
            ..LimitRangeView::default()
        };
        for item in object.spec.into_iter().flat_map(|spec| spec.limits) {
            match item.type_.as_str() {
                "Container" => view.container.push(Bounds::of(item)),
                "Pod" => view.pod.push(Bounds::of(item)),
                // PersistentVolumeClaim, and whatever a newer Kubernetes has.
                _ => {}
            }
        }
        view
    }
}

impl Bounds {
    /// The resources that it says anything about, each once or more.
    pub fn resources(&self) -> impl Iterator<Item = &String> {
        let all = [
            &self.min,
            &self.max,
            &self.ratio,
            &self.default,
            &self.default_request,
        ];
        all.into_iter().flat_map(BTreeMap::keys)
    }

    fn of(item: LimitRangeItem) -> Bounds {
        Bounds {
            min: amounts(item.min),
            max: amounts(item.max),
            ratio: amounts(item.max_limit_request_ratio),
            default: amounts(item.default),
            default_request: amounts(item.default_request),
        }
    }
}

fn amounts(quantities: Option<BTreeMap<String, Quantity>>) -> BTreeMap<String, Amount> {
    let all = quantities.into_iter().flatten();
    all.filter_map(|(resource, quantity)| Some((resource, Amount::read(&quantity.0)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every field is read, and what is not about pods is not kept.
    #[test]
    fn what_it_asks_is_read() {
        let object = json!({
            "metadata": {"name": "small", "namespace": "shop"},
            "spec": {"limits": [
                {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
                {"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "1"},
                 "maxLimitRequestRatio": {"cpu": "4"}, "default": {"cpu": "0.5"},
                 "defaultRequest": {"cpu": "125m"}},
                {"type": "Pod", "max": {"memory": "1Gi"}},
            ]},
        });
        let amount = |resource: &str, text: &str| {
            BTreeMap::from([(resource.to_owned(), Amount::read(text).unwrap())])
        };
        let expected = LimitRangeView {
            name: "small".to_owned(),
            container: vec![Bounds {
                min: amount("cpu", "50m"),
                max: amount("cpu", "1"),
                ratio: amount("cpu", "4"),
                default: amount("cpu", "0.5"),
                default_request: amount("cpu", "125m"),
            }],
            pod: vec![Bounds {
                max: amount("memory", "1Gi"),
                ..Bounds::default()
            }],
        };
        let view = LimitRangeView::of(serde_json::from_value(object).unwrap());
        assert_eq!(view, expected);
    }
}
