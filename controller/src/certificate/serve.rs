//! The certificate in service: swapped under the running listener.

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use tokio::sync::watch;

/// The certificate in service, as its keeper hands it on.
pub type Served = watch::Receiver<Arc<CertifiedKey>>;

/// Answers each handshake with the certificate that is in service at that moment.
pub fn resolver(served: Served) -> Arc<dyn ResolvesServerCert> {
    Arc::new(Resolver(served))
}

#[derive(Debug)]
struct Resolver(Served);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().clone())
    }
}
