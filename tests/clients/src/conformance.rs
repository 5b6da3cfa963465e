//! A conformance suite that others wrote, on servers with and without the sidecar before them: the
//! same results. Which cases a server fails is its own affair.
//!
//! The suite is h2spec, which sends what HTTP/2 allows and what it forbids and looks at what comes
//! back. Some cases race: two frames may arrive in one read or in two, and a server may close
//! before its last word is read. So the suite runs several times on each server without the
//! sidecar, and a case may end through the relay as it ended in any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ebb_netns::command;
use ebb_netns::process::{Process, START};

use super::Plan;
use super::node::Node;
use super::pod::{Pod, Wanted};
use super::server::{Protocol, Server};

/// The hidden command of a program that calls [`run`] with the [`Plan`] that it gets as JSON.
pub const INSIDE: &str = "conformance-inside";

/// How often the suite runs on each server without the sidecar, and with it.
const DIRECT: usize = 3;
const RELAYED: usize = 2;

/// What came of a case: passed or not.
type Verdicts = BTreeMap<String, bool>;

/// Compares all servers that speak HTTP/2, and returns a line for each and all differences. Runs
/// inside [`Plan::isolate`].
pub fn run(plan: &Plan) -> Result<(Vec<String>, Vec<String>)> {
    let node = Node::make(&plan.runtimes)?;
    let servers = Server::ALL.map(|server| Some((server, server.port(Protocol::Http2)?)));
    let (mut lines, mut differences) = (Vec::new(), Vec::new());
    for (server, port) in servers.into_iter().flatten() {
        let suite = Suite {
            plan,
            node: &node,
            server,
            port,
        };
        let (direct, relayed) = suite.run().with_context(|| server.to_string())?;
        let compared = compare(&direct, &relayed)?;
        lines.push(format!("{server}: {}", compared.summary));
        let named = |difference| format!("{server}: {difference}");
        differences.extend(compared.differences.into_iter().map(named));
    }
    Ok((lines, differences))
}

/// The suite on one server.
struct Suite<'a> {
    plan: &'a Plan,
    node: &'a Node,
    server: Server,
    port: u16,
}

/// What a comparison says.
#[derive(Debug, PartialEq, Eq)]
struct Compared {
    summary: String,
    differences: Vec<String>,
}

// === impl Suite ===

impl Suite<'_> {
    /// What came of it without the sidecar, and through it. All at the same time, each on a server
    /// of its own: the suite mostly waits.
    fn run(&self) -> Result<(Vec<Verdicts>, Vec<Verdicts>)> {
        std::thread::scope(|scope| {
            let direct: Vec<_> = (0..DIRECT)
                .map(|number| scope.spawn(move || self.direct(number)))
                .collect();
            let relayed: Vec<_> = (0..RELAYED)
                .map(|number| scope.spawn(move || self.relayed(number)))
                .collect();
            let all = |threads: Vec<std::thread::ScopedJoinHandle<'_, Result<Verdicts>>>| {
                let joined = threads.into_iter().map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                });
                joined.collect::<Result<Vec<_>>>()
            };
            Ok((all(direct)?, all(relayed)?))
        })
    }

    fn direct(&self, number: usize) -> Result<Verdicts> {
        let name = format!("{}-direct-{number}", self.server);
        let pod = self.node.pod()?;
        let command = self.server.command(self.plan, &name)?;
        let command = pod.network().entered(&command);
        let mut server = Process::start(command, &name, &self.plan.scratch)?;
        for address in self.server.addresses(pod.address()) {
            server.listening(address, START)?;
        }
        self.verdicts(pod.address(), &name)
    }

    fn relayed(&self, number: usize) -> Result<Verdicts> {
        let name = format!("{}-relayed-{number}", self.server);
        let pod = Pod::start(self.plan, self.node, Wanted::of(self.server, &name))?;
        self.verdicts(pod.address(), &name)
    }

    fn verdicts(&self, address: IpAddr, name: &str) -> Result<Verdicts> {
        let report = self.plan.scratch.join(format!("{name}.xml"));
        let output = command::output(
            Command::new(self.plan.runtimes.h2spec())
                .args(["--strict", "--host", &address.to_string()])
                .args(["--port", &self.port.to_string()])
                .arg("--junit-report")
                .arg(&report),
        )?;
        let said = self.plan.scratch.join(format!("{name}-h2spec.log"));
        std::fs::write(&said, &output.stdout)?;
        let report = std::fs::read_to_string(&report)
            .with_context(|| format!("h2spec wrote no report: {}", output.status))?;
        let verdicts = read(&report);
        ensure!(
            verdicts.len() > 100,
            "h2spec's report has {} cases only",
            verdicts.len()
        );
        Ok(verdicts)
    }
}

/// The cases of a JUnit report, by their section and title, numbered where these repeat.
fn read(report: &str) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for case in report.split("<testcase ").skip(1) {
        let attribute = |name: &str| {
            let (_, rest) = case.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let section = attribute("package").unwrap_or_default();
        let title = attribute("classname").unwrap_or_default();
        let passed = !case.contains("<failure") && !case.contains("<error");
        let name = |number: usize| match number {
            1 => format!("{section}: {title}"),
            _ => format!("{section}: {title} ({number})"),
        };
        let unused = (1..)
            .map(name)
            .find(|name| !verdicts.contains_key(name))
            .unwrap_or_default();
        verdicts.insert(unused, passed);
    }
    verdicts
}

/// What ended through the relay as it never did without.
fn compare(direct: &[Verdicts], relayed: &[Verdicts]) -> Result<Compared> {
    let first = direct.first().context("the suite has not run")?;
    let mut compared = Compared {
        summary: String::new(),
        differences: Vec::new(),
    };
    let mut racing = Vec::new();
    for case in first.keys() {
        let seen = |runs: &[Verdicts]| -> BTreeSet<Option<bool>> {
            runs.iter().map(|run| run.get(case).copied()).collect()
        };
        let (without, with) = (seen(direct), seen(relayed));
        if without.len() > 1 {
            racing.push(case.as_str());
        }
        if !with.is_subset(&without) {
            let words = |passed: bool| if passed { "passes" } else { "fails" };
            let without = words(without.contains(&Some(true)));
            let with = words(!with.contains(&Some(false)) && !with.contains(&None));
            compared.differences.push(format!(
                "{case}: {without} without the sidecar, {with} with it"
            ));
        }
    }
    let passed = first.values().filter(|passed| **passed).count();
    compared.summary = format!("{passed} of {} cases pass", first.len());
    if !racing.is_empty() {
        let racing = racing.join("; ");
        compared
            .summary
            .push_str(&format!(", differently from run to run: {racing}"));
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passed, failed and repeated cases are told apart.
    #[test]
    fn a_report_is_read() {
        let report = r#"<testsuites><testsuite name="1">
            <testcase package="a/1" classname="Sends" time="0"></testcase>
            <testcase package="a/1" classname="Sends" time="0"><failure></failure></testcase>
            <testcase package="a/2" classname="Waits" time="0"><error>late</error></testcase>
            </testsuite></testsuites>"#;
        let expected = [
            ("a/1: Sends", true),
            ("a/1: Sends (2)", false),
            ("a/2: Waits", false),
        ];
        let expected = expected.map(|(name, passed)| (name.to_owned(), passed));
        assert_eq!(read(report), Verdicts::from(expected));
    }

    /// A case that races may end through the relay as it does without; one that does not may not,
    /// and none may be missing.
    #[test]
    fn only_what_never_was_is_a_difference() {
        let run = |cases: &[(&str, bool)]| -> Verdicts {
            let owned = |(name, passed): &(&str, bool)| ((*name).to_owned(), *passed);
            cases.iter().map(owned).collect()
        };
        let direct = [
            run(&[("racing", true), ("steady", true), ("there", true)]),
            run(&[("racing", false), ("steady", true), ("there", true)]),
        ];
        let relayed = [run(&[("racing", false), ("steady", false)])];
        let compared = compare(&direct, &relayed).unwrap();
        assert_eq!(
            compared.differences,
            [
                "steady: passes without the sidecar, fails with it",
                "there: passes without the sidecar, fails with it"
            ]
        );
        assert!(compared.summary.contains("racing"));
    }
}
