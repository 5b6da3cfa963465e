//! One step: the machine is given an event, and what it orders is done.

use super::{Lifecycle, log};
use crate::capture::poll::SocketPoller;
use crate::drain::{Event, Milestone, Orders};
use crate::stance::Conduct;
use ebb_api::capture::Mode;
use ebb_api::phase::Phase;
use std::time::Instant;

impl Lifecycle {
    pub(super) fn step(&mut self, event: Event) {
        let now = Instant::now();
        let snapshot = self.census.snapshot(now);
        let sigterm = event == Event::Sigterm;
        let heard = matches!(event, Event::Desired(_));
        let (orders, milestones) = self.machine.on(event, &snapshot, now);
        let told_at_once = heard || !milestones.is_empty();
        let wanted = Conduct {
            stance: orders.stance,
            pace: orders.pace,
            connections: self.machine.settings().connections,
        };
        self.conduct
            .send_if_modified(|conduct| std::mem::replace(conduct, wanted) != wanted);
        let back = milestones.contains(&Milestone::BackInService);
        // Back in service, the drain that was reported before is not how this process ends.
        if sigterm || back || self.machine.ending().is_some() {
            self.say_last_words(&snapshot);
        }
        for milestone in &milestones {
            let words = self.captured.effective.path().words;
            log::write(milestone, words, &snapshot.holders);
        }
        if let Some(deadline) = orders.deadline {
            self.limit = Some(deadline);
        }
        let limit = self.limit.unwrap_or(now + self.grace);
        self.hooks.release(orders.release, limit);
        self.app_probe.set(&orders.restarting);
        if back {
            self.limit = None;
        }
        self.publish(&orders, &milestones, told_at_once);
        if self.orders.phase == Phase::Serving && orders.phase != Phase::Serving {
            // The last look was for whoever asked, if anybody did.
            self.poller.iter_mut().for_each(SocketPoller::look_again);
        }
        self.orders = orders;
    }

    fn publish(&self, orders: &Orders, milestones: &[Milestone], at_once: bool) {
        self.published.send_if_modified(|published| {
            let before = published.clone();
            published.ready = orders.ready;
            published.observed = self.captured.effective.path().mode == Mode::Observe;
            published.phase = orders.phase;
            published.version += u64::from(at_once);
            for milestone in milestones {
                // A drain that healed counts twice: as what it came to, and as called off.
                if let Milestone::Ended(drain) | Milestone::CalledOff(drain) = milestone {
                    *published.drains.entry(drain.outcome.as_str()).or_default() += 1;
                }
                if let Milestone::Ended(drain) = milestone {
                    published.late += drain.late;
                    published.abandoned += drain.abandoned_in_all();
                }
            }
            *published != before
        });
    }
}
