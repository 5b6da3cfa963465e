//! The programs that the benchmark runs.

use std::path::PathBuf;

use anyhow::Result;
use ebb_bed::fetch::proxies::Proxies;
use ebb_bed::folders::Folders;
use ebb_bed::image::build::static_program;
use ebb_bed::progress::say;
use serde::{Deserialize, Serialize};

use super::proxy::Proxy;

/// Where each program is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Programs {
    /// What others wrote.
    pub proxies: Proxies,
    /// The sidecar as its image has it: a static release build; built only if it takes part.
    pub sidecar: PathBuf,
    /// Another build of the sidecar, to be compared with the first.
    pub beside: Option<PathBuf>,
}

// === impl Programs ===

impl Programs {
    /// Fetches and builds what these proxies need and the cache does not have yet. A sidecar that
    /// is given is taken as it is. HAProxy of the series 3 is taken off the list where it can't be
    /// had.
    pub fn fetch(
        folders: &Folders,
        proxies: &mut Vec<Proxy>,
        sidecar: Option<PathBuf>,
        beside: Option<PathBuf>,
    ) -> Result<Self> {
        let sidecar = match sidecar {
            Some(given) => given,
            None if proxies.iter().any(|it| it.is_ours()) => static_program("ebb-sidecar")?,
            None => PathBuf::new(),
        };
        let programs = Self {
            proxies: Proxies::fetch(folders)?,
            sidecar,
            beside,
        };
        let of_series_3 = |proxy: &Proxy| [Proxy::Haproxy3Tcp, Proxy::Haproxy3Http].contains(proxy);
        if proxies.iter().any(of_series_3)
            && let Err(error) = programs.proxies.fetch_haproxy3()
        {
            say(format!("going on without HAProxy 3: {error:#}"));
            proxies.retain(|proxy| !of_series_3(proxy));
        }
        if proxies.contains(&Proxy::EnvoyTcp) || proxies.contains(&Proxy::EnvoyHttp) {
            programs.proxies.fetch_envoy(folders)?;
        }
        Ok(programs)
    }
}
