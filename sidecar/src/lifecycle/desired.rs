//! Whether a desired state is for this pod, and newer than the one in force.

use super::{Lifecycle, Refusal};
use ebb_api::desired::{Conflict, Desired};

impl Lifecycle {
    pub(super) fn judge(&self, desired: &Desired) -> Result<(), Refusal> {
        if self.uid.is_empty() || desired.pod != self.uid {
            return Err(Refusal::OtherPod);
        }
        if desired.boot != self.boot || desired.revision <= self.revision {
            return Err(Refusal::Conflict(Conflict {
                boot: self.boot.clone(),
                revision: self.revision,
                accepted: match desired.revision.term < self.revision.term {
                    true => self.accepted.clone(),
                    false => None,
                },
            }));
        }
        Ok(())
    }
}
