//! Written is not delivered: what the kernel has taken for a client and the client has not
//! acknowledged goes with the pod's network when the last container ends.

use crate::capture::kernel::unacknowledged;
use crate::census::Census;
use crate::upstream::Upstream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often send queues are looked at: the kernel reports no event when one empties. It only
/// happens at the end of a process.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait where the kernel does not let us look: most clients have acknowledged within a
/// round trip, those over a bad network within some retransmissions.
const BLIND: Duration = Duration::from_secs(2);

/// Waits until nothing is in flight in the relay, and every byte for a client that came on its way
/// `upstream` has been acknowledged: then nothing is lost with the process. A client that takes
/// nothing can make this last as long as the grace period.
pub async fn delivered(census: &Arc<Census>, upstream: &Upstream) {
    let mut changes = census.changes();
    loop {
        let snapshot = census.snapshot(Instant::now());
        if snapshot.relayed_in_flight() > 0 {
            let settles_at = snapshot.settles_at.map(tokio::time::Instant::from_std);
            tokio::select! {
                () = changes.changed() => {}
                () = tokio::time::sleep_until(settles_at.unwrap_or_else(tokio::time::Instant::now)),
                    if settles_at.is_some() => {}
            }
            continue;
        }
        match unacknowledged(&upstream.arrivals()).await {
            Ok(0) if snapshot.buffered == 0 => return,
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "the kernel does not tell what clients have acknowledged");
                return tokio::time::sleep(BLIND).await;
            }
        }
    }
}
