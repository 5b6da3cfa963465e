//! The admin port beside a relay that has no time left.

use crate::pod::{PodNetwork, launch};
use crate::sidecar::PATIENCE;
use ebb_netns::bootstrap;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// Enough that they wait for each other: each always has something for the relay to do.
const CONNECTIONS: u64 = 256;

/// As much as a socket takes at once.
const CHUNK: usize = 64 * 1024;

const PROBES: usize = 50;

/// Does work on a runtime of this thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// Sends to many clients as fast as they take it, once each has said something.
async fn pour(listener: std::net::TcpListener) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut clients = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        clients.spawn(async move {
            client.read_u8().await.unwrap();
            while client.write_all(&[0; CHUNK]).await.is_ok() {}
        });
    }
}

/// Takes what comes; `pieces` counts it.
async fn drink(address: SocketAddr, pieces: Arc<AtomicU64>) {
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_u8(0).await.unwrap();
    let mut piece = vec![0; CHUNK];
    while let Ok(1..) = client.read(&mut piece).await {
        pieces.fetch_add(1, Ordering::Relaxed);
    }
}

fn probe(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    began.elapsed()
}

/// Downloads that keep the relay at all that one core gives it wait for each other. A probe does
/// not wait for them: nine of ten are answered sooner than each download has got its next piece.
/// Else a pod under load would be taken out of its Services.
#[test]
fn a_probe_does_not_queue_behind_the_connections() {
    let pod = PodNetwork::new();
    let bootstrap = bootstrap::of(bootstrap::policy());
    pod.redirect(&bootstrap);
    let one_core = ["taskset", "--cpu-list", "0"];
    let _sidecar = pod.sidecar_by(&launch(&bootstrap).by(&one_core));
    pod.listen_by("[::]:8080", |listener| block_on(pour(listener)));
    let pieces = Arc::new(AtomicU64::new(0));
    let counted = pieces.clone();
    let app = SocketAddr::new(pod.addresses[0], 8080);
    thread::spawn(move || {
        block_on(async {
            let mut clients = JoinSet::new();
            for _ in 0..CONNECTIONS {
                clients.spawn(drink(app, counted.clone()));
            }
            clients.join_all().await
        })
    });
    let under_way = || Ok((pieces.load(Ordering::Relaxed) > 3 * CONNECTIONS).then_some(()));
    ebb_netns::eventually("the relay to be busy", PATIENCE, under_way).unwrap();

    let (began, before) = (Instant::now(), pieces.load(Ordering::Relaxed));
    let admin = SocketAddr::new(pod.addresses[0], ebb_api::names::ADMIN_PORT);
    let mut probes: Vec<Duration> = (0..PROBES).map(|_| probe(admin)).collect();
    let served = pieces.load(Ordering::Relaxed) - before;
    let round = began.elapsed().as_secs_f64() * CONNECTIONS as f64 / served.max(1) as f64;
    probes.sort();
    let slow = probes[PROBES * 9 / 10].as_secs_f64();
    assert!(
        slow < round,
        "a download waits {round:.3} s for its next piece, and one of ten probes {slow:.3} s"
    );
}
