//! What is played: a small file for each scenario.

mod addresses;
mod app_closes_first;
mod app_resets;
mod bulk;
mod client_resets;
mod datagrams;
mod device_bound;
mod early_answer;
mod full_queue;
mod half_close;
mod inside;
mod late_words;
mod link_local;
mod loopback_only;
mod multipath;
mod own_address;
mod own_calls;
mod own_end;
mod own_ports;
mod ping;
mod port_range;
mod probe;
mod refused;
mod second_address;
mod second_listener;
mod syn_cookies;
mod two_listeners;
mod type_of_service;
mod unread;
mod urgent;
mod urgent_apart;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use ebb_api::capture::Mode;
use socket2::SockRef;

use crate::stage::Place;

/// What the sides of a scenario have seen: a line for each thing, without what differs from one run
/// to the next.
pub type Seen = Vec<String>;

/// Something that happens between a client and an app.
#[derive(Debug)]
pub struct Scenario {
    /// What it is about, as a row of the table.
    pub title: &'static str,
    /// Where a mode is known to differ from a plain pod, and why that is so.
    pub differs: &'static [(Mode, &'static str)],
    /// Plays it.
    pub play: fn(&Place<'_>) -> Result<Seen>,
}

/// All of them, in the order in which they are shown.
pub const ALL: &[Scenario] = &[
    addresses::SCENARIO,
    own_end::SCENARIO,
    refused::SCENARIO,
    loopback_only::SCENARIO,
    own_address::SCENARIO,
    device_bound::SCENARIO,
    second_address::SCENARIO,
    link_local::SCENARIO,
    port_range::SCENARIO,
    two_listeners::SCENARIO,
    second_listener::SCENARIO,
    inside::SCENARIO,
    own_calls::SCENARIO,
    own_ports::SCENARIO,
    half_close::SCENARIO,
    app_closes_first::SCENARIO,
    app_resets::SCENARIO,
    unread::SCENARIO,
    late_words::SCENARIO,
    client_resets::SCENARIO,
    probe::SCENARIO,
    early_answer::SCENARIO,
    urgent::SCENARIO,
    urgent_apart::SCENARIO,
    syn_cookies::SCENARIO,
    full_queue::SCENARIO,
    bulk::SCENARIO,
    datagrams::SCENARIO,
    ping::SCENARIO,
    multipath::SCENARIO,
    type_of_service::SCENARIO,
];

/// One side says it.
fn say(from: &mut TcpStream, text: &str) -> Result<()> {
    Ok(from.write_all(text.as_bytes())?)
}

/// What a side hears until the other closes, or how that fails.
fn hear_all(at: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    match at.read_to_end(&mut heard) {
        Ok(_) => format!("{:?} and the end", String::from_utf8_lossy(&heard)),
        Err(error) => format!("{:?} and {}", String::from_utf8_lossy(&heard), error.kind()),
    }
}

/// The next bytes that a side hears, as many as `text` has.
fn hear(at: &mut TcpStream, text: &str) -> Result<String> {
    let mut heard = vec![0; text.len()];
    at.read_exact(&mut heard)?;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

/// A client asks and the app answers: what each has heard.
fn converse(client: &mut TcpStream, served: &mut TcpStream) -> Result<Seen> {
    say(client, "question")?;
    let question = hear(served, "question")?;
    say(served, "answer")?;
    Ok(vec![question, hear(client, "answer")?])
}

/// A side that was asked something resets the connection: what the other hears of it.
fn reset(from: TcpStream, at: &mut TcpStream) -> Result<String> {
    SockRef::from(&from).set_linger(Some(Duration::ZERO))?;
    drop(from);
    Ok(hear_all(at))
}

/// Who the app takes its client for.
fn whose(served: &TcpStream, client: &TcpStream, place: &Place<'_>) -> Result<String> {
    let peer = served.peer_addr()?;
    let whose = if peer == client.local_addr()? {
        "its client's"
    } else if peer.ip() == place.pod() {
        "the pod's"
    } else {
        "another's"
    };
    Ok(format!("the app's peer is {whose}"))
}

/// How it ended, in a word.
fn outcome<T>(result: &io::Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => error.kind().to_string(),
    }
}
