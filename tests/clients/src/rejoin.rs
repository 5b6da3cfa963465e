//! Which clients of WebSockets connect again after which end, and how soon: what the default of
//! `connections.webSocketCode` was chosen by.
//!
//! For each end a Service, a pod in which the clients are, and one that new connections go to from
//! then on. The servers alone are asked: which client left the one, and which came to the other.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use ebb_api::connections::WebSocketCode;
use ebb_bed::progress::step;
use ebb_netns::eventually;
use ebb_netns::process::Process;

use super::Plan;
use super::node::Node;
use super::pod::{Pod, Wanted};
use super::server::Server;
use super::service::Service;

/// The hidden command of a program that gets a [`Plan`] as JSON and calls [`run`].
pub const INSIDE: &str = "codes-inside";

/// The clients: their names in `tests/clients/{node,python,go}`, and in the table.
const CLIENTS: [(&str, &str); 14] = [
    ("socket.io-client", "`socket.io-client` (Node)"),
    (
        "signalr",
        "`@microsoft/signalr`, `withAutomaticReconnect` (Node)",
    ),
    ("phoenix", "`phoenix` (Node)"),
    ("stompjs", "`@stomp/stompjs` (Node)"),
    ("graphql-ws", "`graphql-ws` (Node)"),
    ("partysocket", "`partysocket` (Node)"),
    ("reconnecting-websocket", "`reconnecting-websocket` (Node)"),
    ("rxjs-retry", "`rxjs` `webSocket` with `retry` (Node)"),
    ("python-socketio", "`python-socketio`"),
    (
        "websocket-client",
        "`websocket-client`, `run_forever(reconnect=5)` (Python)",
    ),
    (
        "websockets-for",
        "`websockets`, `async for` over connections (Python)",
    ),
    (
        "websockets-errors",
        "`websockets`, a loop that goes on after `ConnectionClosedError` (Python)",
    ),
    (
        "gorilla",
        "`gorilla/websocket`, a loop that `IsCloseError(1000, 1001)` ends (Go)",
    ),
    (
        "coder",
        "`coder/websocket`, a loop that `StatusNormalClosure` ends (Go)",
    ),
];

/// One of them, which answers a Close with the code that this says; not all do.
const ECHOES: &str = "coder";

/// The codes that are tried; 4000 stands for those that an application gives a meaning.
const CODES: [i64; 4] = [1000, 1001, 1012, 4000];

/// How long a client may take to come; the longest wait between two attempts that any of these has
/// by default is shorter.
const PATIENCE: Duration = Duration::from_secs(45);

/// How a client's WebSocket ends: with a Close that says a code, or without a word.
type End = Option<WebSocketCode>;

/// After which time each client was back, if it was.
type Back = Vec<Option<Duration>>;

/// Ends the clients' WebSockets in each way, and says in a table what came of it. Runs inside
/// [`Plan::isolate`].
pub fn run(plan: &Plan) -> Result<String> {
    let node = Node::make(&plan.runtimes)?;
    let codes = CODES.into_iter().filter_map(WebSocketCode::new);
    let ends: Vec<End> = codes.map(Some).chain([None]).collect();
    let backs = step("clients lose their WebSockets in every way", || {
        std::thread::scope(|scope| {
            let lost = ends.iter().zip(0..).map(|(end, number)| {
                let node = &node;
                scope.spawn(move || lose(plan, node, *end, number))
            });
            let threads: Vec<_> = lost.collect();
            let results = threads.into_iter().map(|thread| {
                let result = thread.join();
                result.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))
            });
            results.collect::<Result<Vec<Back>>>()
        })
    })?;
    Ok(table(&ends, &backs))
}

/// A table in Markdown, in seconds.
fn table(ends: &[End], backs: &[Back]) -> String {
    let heads = ends.iter().map(|end| match end {
        Some(code) => format!(" {code} |"),
        None => " no Close |".to_owned(),
    });
    let rule = "---|".repeat(ends.len());
    let mut table = format!("| client |{}\n|---|{rule}\n", heads.collect::<String>());
    for (number, (_, label)) in CLIENTS.iter().enumerate() {
        let cells = backs.iter().map(|back| match back[number] {
            Some(after) => format!(" {:.1} |", after.as_secs_f64()),
            None => " never |".to_owned(),
        });
        table.push_str(&format!("| {label} |{}\n", cells.collect::<String>()));
    }
    table
}

/// Ends the WebSockets of all clients in one way, and waits for them to come back.
fn lose(plan: &Plan, node: &Node, end: End, number: u8) -> Result<Back> {
    let service = Service::address(number);
    let pod = |name: &str| Pod::start(plan, node, wanted(end, &format!("{name}-{number}")));
    let first = pod("first")?;
    node.switch(service, None, first.address())?;
    let clients = clients(plan, service, number)?;
    let all_in = |pod: &Pod| {
        let said = pod.said();
        let mut names = CLIENTS.iter().map(|(name, _)| name);
        let is_in = names.all(|name| moment(&said, &["joined", name]).is_some());
        Ok(is_in.then_some(()))
    };
    eventually("all clients to connect", PATIENCE, || all_in(&first))
        .with_context(|| missing(&clients, &first))?;
    let second = pod("second")?;
    let (from, to) = (first.address(), second.address());
    let switch = || node.switch(service, Some(from), to);
    let (killed, said) = match end {
        Some(code) => {
            let (_, said) = first.end(&[], switch)?;
            let echoed = moment(&said, &["left", ECHOES, &code.to_string()]);
            echoed.with_context(|| format!("{ECHOES} was not closed with {code}"))?;
            (None, said)
        }
        None => {
            switch()?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            first.kill()?;
            (Some(now), String::new())
        }
    };
    // That some stay away is a result.
    let _ = eventually("all clients to come back", PATIENCE, || all_in(&second));
    let came = second.said();
    let back = CLIENTS.iter().map(|(name, _)| {
        let left = killed.or_else(|| moment(&said, &["left", name]));
        let left = left.with_context(|| format!("{name} was never told to leave"))?;
        let came = moment(&came, &["joined", name]);
        Ok(came.map(|came| came.saturating_sub(left)))
    });
    back.collect()
}

/// A pod with a policy that names this code.
fn wanted(end: End, name: &str) -> Wanted {
    let mut wanted = Wanted::of(Server::Rejoin, name);
    wanted.settings.connections.web_socket_code = end.unwrap_or_default();
    wanted
}

/// The programs with all clients.
fn clients(plan: &Plan, service: Ipv4Addr, number: u8) -> Result<Vec<Process>> {
    let address = format!("{service}:8080");
    let programs = [
        ("node", plan.runtimes.node_rejoin("client.js")),
        ("python", plan.runtimes.python("rejoin_client.py")),
        ("go", Command::new(plan.runtimes.go_rejoin())),
    ];
    let started = programs.map(|(name, mut command)| {
        command.arg(&address);
        Process::start(command, &format!("{name}-{number}"), &plan.scratch)
    });
    started.into_iter().collect()
}

/// Who is not in a pod, and what the clients said.
fn missing(clients: &[Process], pod: &Pod) -> String {
    let said = pod.said();
    let names = CLIENTS.iter().map(|(name, _)| *name);
    let missing: Vec<_> = names
        .filter(|name| moment(&said, &["joined", name]).is_none())
        .collect();
    let explained: String = clients.iter().map(Process::explanation).collect();
    format!("not connected: {}{explained}", missing.join(", "))
}

/// When a server first said these words, by the last word of the line: the time since 1970.
fn moment(said: &str, wanted: &[&str]) -> Option<Duration> {
    let words = said.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut its = words.filter(|words| words.starts_with(wanted));
    let milliseconds = its.next()?.last()?.parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first line counts that has all of the words, and no client's name is another's
    /// beginning.
    #[test]
    fn moments_are_found() {
        let said =
            "joined gorilla-2 1\nleft gorilla 1000 2\nleft gorilla 1012 3\nleft gorilla 1012 4";
        let at = |wanted: &[&str]| moment(said, wanted).map(|at| at.as_millis());
        assert_eq!(at(&["left", "gorilla", "1012"]), Some(3));
        assert_eq!(at(&["left", "gorilla"]), Some(2));
        assert_eq!(at(&["joined", "gorilla"]), None);
    }
}
