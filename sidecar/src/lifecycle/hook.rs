//! Hook calls: those that are kubelet's move the drain machine; a stranger's waits until it is
//! known whose it is.

use super::Lifecycle;
use crate::drain::{Caller, Event};
use crate::hooks::{Answer, Call, Origin, Settled, Word};
use std::time::Instant;

impl Lifecycle {
    pub(super) fn called(&mut self, call: Call) {
        match call.origin {
            Origin::Node | Origin::Pod => self.believe(call),
            Origin::Stranger => {
                self.doubts.add(call, Instant::now());
                self.settle_doubts();
            }
        }
    }

    /// Does what has become of calls that were in doubt.
    pub(super) fn settle_doubts(&mut self) {
        let Settled { believed, refused } = self.doubts.settle(self.word(), Instant::now());
        for call in refused {
            self.refused_hooks += 1;
            if let Some(skipped) = self.refusals.allow(Instant::now()) {
                tracing::warn!(
                    hook = %call.caller,
                    client.addr = %call.from,
                    skipped,
                    "hook call refused: it is not from where kubelet probes, and the controller says that the pod stays"
                );
            }
            // Whoever it is may have hung up.
            let _ = call.answer.send(Answer::Refused);
        }
        for call in believed {
            self.believe(call);
        }
    }

    /// When calls in doubt are settled if nothing happens.
    pub(super) fn doubts_end(&self) -> Option<Instant> {
        self.doubts.next(self.word(), Instant::now())
    }

    /// After SIGTERM there is nothing left to protect.
    fn word(&self) -> Option<Word> {
        let (at, leaves) = self.machine.word()?;
        Some(Word { at, leaves })
    }

    fn believe(&mut self, call: Call) {
        let Call {
            caller,
            from,
            pod_address,
            answer,
            ..
        } = call;
        tracing::info!(hook = %caller, "hook called");
        // `ebb-hold` calls from within the pod, for a container whose own hook is a command; the
        // sidecar's own is kubelet's alone to call.
        if caller == Caller::Own || !from.is_loopback() {
            self.census.probes_come_from(from);
            self.kubelet = Some(from);
            self.app_probe.reach_at(pod_address);
        }
        self.hooks
            .call(caller.clone(), pod_address, answer, Instant::now());
        self.step(Event::HookCalled(caller));
    }
}
