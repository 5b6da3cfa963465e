//! Where a hook call comes from, as far as its address tells.
//!
//! Whoever reads pods knows the token, and whoever reaches the pod can call. Kubelet's calls come
//! from where its probes do: both are requests of one process on the node to the pod's address. It
//! probes a sidecar once a second from the start on, long before anybody else knows that there is
//! one.

use crate::drain::Caller;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// For how long nothing may come from the address of the probes until another counts: a network may
/// give its nodes new ones. As long as kubelet probes, nobody can take its place.
const SILENCE: Duration = Duration::from_secs(10);

/// Who calls a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Kubelet, or nobody can tell: no probe has come.
    Node,
    /// A process in the pod. It could end the app just as well.
    Pod,
    /// Somebody else.
    Stranger,
}

/// The address that kubelet probes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prober(Option<(IpAddr, Instant)>);

// === impl Prober ===

impl Prober {
    /// A probe came from this address.
    pub(crate) fn probed(&mut self, from: IpAddr, now: Instant) {
        // Service meshes have probes made by a process in the pod. They tell nothing.
        if from.is_loopback() {
            return;
        }
        let is_kubelet = |(known, last): (IpAddr, Instant)| {
            known == from || now.saturating_duration_since(last) > SILENCE
        };
        if self.0.is_none_or(is_kubelet) {
            self.0 = Some((from, now));
        }
    }

    /// Who calls the hook of `caller` from one address at another one of the pod.
    pub(crate) fn origin(&self, caller: &Caller, from: IpAddr, at: IpAddr) -> Origin {
        let Some((kubelet, _)) = self.0 else {
            return Origin::Node;
        };
        // `ebb-hold` calls from within the pod, for containers of the app.
        let is_inside = from.is_loopback() || from == at;
        match caller {
            _ if from == kubelet => Origin::Node,
            Caller::App(_) if is_inside => Origin::Pod,
            Caller::App(_) | Caller::Own => Origin::Stranger,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const KUBELET: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 9));
    const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 64, 2));
    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn app() -> Caller {
        Caller::App("app".to_owned())
    }

    /// Kubelet calls from where it probes, the app's containers from within the pod; nobody else
    /// does, and nobody in the pod calls the sidecar's own hook.
    #[test]
    fn kubelet_calls_from_where_it_probes() {
        let mut prober = Prober::default();
        prober.probed(KUBELET, Instant::now());
        for (caller, from, origin) in [
            (app(), KUBELET, Origin::Node),
            (Caller::Own, KUBELET, Origin::Node),
            (app(), LOOPBACK, Origin::Pod),
            (app(), POD, Origin::Pod),
            (app(), OTHER, Origin::Stranger),
            (Caller::Own, OTHER, Origin::Stranger),
            (Caller::Own, LOOPBACK, Origin::Stranger),
            (Caller::Own, POD, Origin::Stranger),
        ] {
            assert_eq!(prober.origin(&caller, from, POD), origin, "{caller} {from}");
        }
    }

    /// Where nobody has probed, or only a process in the pod, nobody can tell.
    #[test]
    fn without_a_probe_nobody_can_tell() {
        let mut prober = Prober::default();
        assert_eq!(prober.origin(&Caller::Own, OTHER, POD), Origin::Node);
        prober.probed(LOOPBACK, Instant::now());
        assert_eq!(prober.origin(&Caller::Own, OTHER, POD), Origin::Node);
    }

    /// Whoever probes beside kubelet does not take its place; who probes in its place does.
    #[test]
    fn kubelet_s_place_is_taken_only_when_it_is_silent() {
        let start = Instant::now();
        let mut prober = Prober::default();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            prober.probed(KUBELET, now);
            prober.probed(OTHER, now);
        }
        assert_eq!(prober.origin(&app(), OTHER, POD), Origin::Stranger);
        prober.probed(OTHER, start + Duration::from_secs(75));
        assert_eq!(prober.origin(&app(), OTHER, POD), Origin::Node);
        assert_eq!(prober.origin(&app(), KUBELET, POD), Origin::Stranger);
    }
}
