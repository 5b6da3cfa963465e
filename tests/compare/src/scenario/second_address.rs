use std::net::IpAddr;

use super::{Scenario, Seen, converse, outcome};
use crate::stage::{Place, accept};
use anyhow::Result;

pub(super) const SCENARIO: Scenario = Scenario {
    title: "a second address of the pod, which stands on lo, is served as the first",
    differs: &[],
    play,
};

fn play(place: &Place<'_>) -> Result<Seen> {
    let (second, bits): (IpAddr, u8) = match place.pod() {
        IpAddr::V4(_) => ([198, 18, 200, 1].into(), 32),
        IpAddr::V6(_) => ("fd00:eb:1::1".parse()?, 128),
    };
    place.ip(&format!("address replace {second}/{bits} dev lo"))?;
    let pod = place.pod();
    place.ip_outside(&format!("route replace {second}/{bits} via {pod}"))?;
    let app = place.listen()?;
    let mut client = place.connect_to((second, place.port(0)).into())?;
    let mut served = accept(&app)?;
    let mut seen = converse(&mut client, &mut served)?;
    let refused = place.connect_to((second, place.port(1)).into());
    seen.push(outcome(&refused));
    Ok(seen)
}
