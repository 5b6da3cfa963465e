//! The sample application, which serves every kind of client well.

use clap::Parser as _;
use ebb_load::kind::{Kind, Mix};
use ebb_sample_app::Config;
use ebb_sample_app::log::Log;
use tokio::task::JoinSet;

use crate::{assert_counted, run};

/// Every kind of client is served, counted as what it is, and loses nothing.
#[tokio::test]
async fn a_good_server_loses_nothing_of_any_kind() {
    let config = Config::parse_from(["app", "--http", "127.0.0.1:0", "--delay-ms", "1"]);
    let bound = config.bind(Log::to(std::io::sink())).await.unwrap();
    let address = bound.http_addresses().unwrap()[0];
    let mut tasks = JoinSet::new();
    tasks.spawn(bound.serve(std::future::pending()));
    let mix = Mix {
        keep_alive: 1,
        fresh: 1,
        http2: 1,
        grpc: 1,
        web_sockets: 1,
    };
    let tally = run(mix, 1_000, address).await;
    assert_counted(&tally, 1_000, 0);
    assert_eq!(tally.retried, 0);
    let mut sum = 0;
    for kind in Kind::ALL {
        let counts = tally.kinds[&kind];
        assert!(
            counts.requests > 0 && counts.failed == 0,
            "{kind:?}: {counts:?}"
        );
        sum += counts.requests;
    }
    assert_eq!(sum, tally.requests);
    // One for each but the fresh ones, which have one a request.
    let fresh = tally.kinds[&Kind::Fresh].requests;
    assert_eq!(tally.connections, 4 + fresh);
}
