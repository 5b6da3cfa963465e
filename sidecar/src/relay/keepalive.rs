//! When the kernel asks whether a silent client is still there (tcp(7), `SO_KEEPALIVE`).

use crate::stance::Stance;
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a client is silent before it is asked: less than the 60 s for which connection tracking
/// remembers a client that has half-closed, so that the answer to it finds the way.
const TIME: Duration = Duration::from_secs(25);

/// How long each answer is waited for, and how many may be missed, while the pod serves. A link
/// that is down for some minutes costs no idle connection, as it would not without the relay; a
/// client that is gone for good is forgotten after ten.
const PATIENT: (Duration, u32) = (Duration::from_secs(25), 24);

/// The same once nothing new is accepted: nobody waits for a client that is gone longer than 40 s.
/// Not earlier, since most connections get their goodbye and end before that, and this costs each
/// four system calls.
const IMPATIENT: (Duration, u32) = (Duration::from_secs(5), 3);

/// What is set for a client's connection in this stance.
pub(crate) fn in_stance(stance: Stance) -> TcpKeepalive {
    let (interval, retries) = match stance.accepts() {
        true => PATIENT,
        false => IMPATIENT,
    };
    TcpKeepalive::new()
        .with_time(TIME)
        .with_interval(interval)
        .with_retries(retries)
}

/// Sets it where the stance changes between the two.
pub(super) fn follow(client: &TcpStream, before: Stance, now: Stance) {
    if before.accepts() != now.accepts() {
        // An error means that the connection has gone already.
        let _ = SockRef::from(client).set_tcp_keepalive(&in_stance(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    fn gives_up_after(stream: &TcpStream) -> Duration {
        let socket = SockRef::from(stream);
        let interval = socket.tcp_keepalive_interval().unwrap();
        socket.tcp_keepalive_time().unwrap() + interval * socket.tcp_keepalive_retries().unwrap()
    }

    /// A leaving pod gives up on clients sooner, and a pod that serves again does not.
    #[tokio::test]
    async fn patience_follows_the_stance() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        SockRef::from(&stream)
            .set_tcp_keepalive(&in_stance(Stance::Serving))
            .unwrap();
        follow(&stream, Stance::Serving, Stance::Parting);
        assert_eq!(gives_up_after(&stream), Duration::from_secs(625));
        follow(&stream, Stance::Parting, Stance::Draining);
        assert_eq!(gives_up_after(&stream), Duration::from_secs(40));
        follow(&stream, Stance::Draining, Stance::Serving);
        assert_eq!(gives_up_after(&stream), Duration::from_secs(625));
    }
}
