//! The clients of the API server: none of them waits for ever for one that is silent.
//!
//! A machine that vanishes closes no connection, and by itself TCP takes a quarter of an hour to
//! notice; a status, a certificate or a list would wait for that long.

use kube::{Client, Config};
use std::time::Duration;

/// How long the API server may be silent while it is asked for something. It answers within a
/// minute or says itself that it can't.
const CALL_SILENCE: Duration = Duration::from_secs(65);

/// The same for lists and watches. A watch on which nothing happens is ended by the server after
/// 290 seconds.
const WATCH_SILENCE: Duration = Duration::from_secs(300);

/// The clients of the API server.
#[derive(Clone)]
pub struct Clients {
    /// For lists and watches.
    pub watch: Client,
    /// For everything else.
    pub call: Client,
}

impl Clients {
    /// Clients of the API server that the configuration names.
    ///
    /// # Errors
    ///
    /// Fails if its certificates or tokens can't be used.
    pub fn new(config: &Config) -> Result<Clients, kube::Error> {
        let client = |silence| {
            let mut config = config.clone();
            config.read_timeout = Some(silence);
            // Silence counts from the question, not from the last answer on that connection.
            config.reset_reader_on_write = true;
            Client::try_from(config)
        };
        Ok(Clients {
            watch: client(WATCH_SILENCE)?,
            call: client(CALL_SILENCE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use tokio::net::TcpListener;
    use tokio::time::{Instant, timeout};

    /// An API server that takes the connection and never answers is given up. (Time is not real
    /// here: it jumps to whatever is waited for.)
    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let clients = Clients::new(&config).unwrap();
        for (client, silence) in [(clients.call, CALL_SILENCE), (clients.watch, WATCH_SILENCE)] {
            let began = Instant::now();
            let api: Api<Namespace> = Api::all(client);
            let answer = timeout(2 * WATCH_SILENCE, api.get("shop")).await;
            let error = answer.expect("it is given up").unwrap_err();
            assert!(
                began.elapsed() >= silence,
                "{error} after {:?}",
                began.elapsed()
            );
        }
    }
}
