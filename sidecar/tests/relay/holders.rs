//! Whom a relay names as the one who is waited for, where it is the kernel's buffers that tell.

use crate::harness::{TestRelay, within};
use ebb_api::report::WaitsFor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An app that does not read what its client sends is the one who is waited for; once it has read
/// it all, the client is, who has more to say.
#[tokio::test]
async fn an_app_that_does_not_read_is_waited_for() {
    let relay = TestRelay::new().await;
    let (mut client, mut app) = relay.connect().await;
    let head = "POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n";
    client.say(head).await;
    app.hear(head).await;
    let turn = async |wanted| {
        let is_so = |holder: &ebb_api::report::Holder| holder.waits_for == wanted;
        relay
            .until("the turn", |now| now.holders.first().is_some_and(is_so))
            .await;
    };
    turn(WaitsFor::Request).await;
    let say = async { while client.0.write_all(&[b'x'; 65536]).await.is_ok() {} };
    let full = async {
        tokio::select! {
            () = say => panic!("the client can say everything"),
            () = turn(WaitsFor::App) => {}
        }
    };
    within("the app to be full", full).await;
    let mut heard = vec![0; 65536];
    let read = async { while app.0.read(&mut heard).await.is_ok_and(|read| read > 0) {} };
    let taken = async {
        tokio::select! {
            () = read => panic!("the connection ends"),
            () = turn(WaitsFor::Request) => {}
        }
    };
    within("the app to take all", taken).await;
}
