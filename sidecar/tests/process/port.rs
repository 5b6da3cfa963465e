//! The relay's port.

use crate::running::Sidecar;
use ebb_api::capture::{Mode, Why};
use std::net::Ipv6Addr;
use tokio::net::TcpListener;

/// A relay port that somebody else has is taken over when it is free, and the report says at each
/// time what is so.
#[tokio::test]
async fn a_relay_port_that_is_taken_is_opened_later() {
    let other = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = other.local_addr().unwrap().port();
    let sidecar = Sidecar::at_relay_port(port).await;
    let report = sidecar.report().await;
    assert_eq!(report.mode, Mode::Observe);
    let [step] = &report.steps[..] else {
        panic!("one step: {:?}", report.steps);
    };
    assert_eq!((step.mode, step.why), (Mode::Redirect, Why::PortTaken));
    let detail = &step.detail;
    assert!(detail.contains(&format!("port {port}")), "{detail}");
    drop(other);
    let report = sidecar
        .until("relaying", |report| report.mode == Mode::Redirect)
        .await;
    assert_eq!(report.steps, []);
    assert_eq!(sidecar.request("/now").await.body, "hello");
}
