//! `ebb-hold` runs in a container of the app, as that container's preStop hook: it waits for the
//! sidecar, and runs the app's own hook, which is a command. `ebb_api::hold` has its words.
//!
//! The command becomes this very process where it can, so its user, environment, working directory,
//! exit code and output are those that kubelet would have given it and taken from it. A sidecar
//! that can't be reached, or refuses, holds nothing: then the command runs at once, as without Ebb.
//!
//! The image that it runs in may have nothing, no shell and no place to write to. So it is one
//! static program, brought by a volume; its first start, in an init container of ours, copies it
//! there (`ebb-hold install PATH`).

use ebb_api::hold::{Held, INSTALL, Order};
use ebb_api::names::{ADMIN_PORT, TOKEN_HEADER, hook_path};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;
use std::{fs, thread};

/// The sidecar is in the same network; one that does not even accept is not there.
const CONNECT_TIME: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    // What Kubernetes hands on is UTF-8.
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match words.as_slice() {
        [word, to] if word == INSTALL => {
            // It ends well whatever happens: a pod that starts is worth more than its hook.
            if let Err(error) = install(Path::new(to)) {
                say(&format!(
                    "can't copy the program to {to}: {error}; preStop hooks that are commands will fail"
                ));
            }
            ExitCode::SUCCESS
        }
        words => match Held::parse(words) {
            Ok(held) => run(&held),
            Err(error) => {
                say(&error.to_string());
                ExitCode::from(2)
            }
        },
    }
}

/// Copies this program, in one step for whoever runs it meanwhile.
fn install(to: &Path) -> io::Result<()> {
    let half = to.with_extension("new");
    fs::copy("/proc/self/exe", &half)?;
    // Containers of any user run it.
    fs::set_permissions(&half, fs::Permissions::from_mode(0o755))?;
    fs::rename(&half, to)
}

fn run(held: &Held) -> ExitCode {
    // `parse` takes no hook without a command.
    let (program, arguments) = held.command.split_first().expect("there is a command");
    let mut command = Command::new(program);
    command.args(arguments);
    match held.order {
        Order::After => {
            wait(held);
            // This comes back only if the command could not be started.
            not_started(program, &command.exec())
        }
        Order::Before => {
            let ended = thread::scope(|scope| {
                scope.spawn(|| wait(held));
                command.status()
            });
            ended.map_or_else(|error| not_started(program, &error), exit_code)
        }
    }
}

/// Waits until the sidecar releases the hook, or holds nothing.
fn wait(held: &Held) {
    if let Err(error) = released(held) {
        say(&format!(
            "the sidecar does not hold this container: {error}"
        ));
    }
}

/// Calls the sidecar as kubelet would, and waits for its answer.
fn released(held: &Held) -> io::Result<()> {
    let limit = Duration::from_secs(held.limit_seconds.max(1).into());
    let address = (Ipv4Addr::LOCALHOST, ADMIN_PORT).into();
    let mut sidecar = TcpStream::connect_timeout(&address, CONNECT_TIME.min(limit))?;
    sidecar.set_read_timeout(Some(limit))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {address}\r\nuser-agent: ebb-hold/{}\r\n{TOKEN_HEADER}: {}\r\nconnection: close\r\n\r\n",
        hook_path(&held.container),
        env!("CARGO_PKG_VERSION"),
        held.token,
    );
    sidecar.write_all(request.as_bytes())?;
    let mut answer = String::new();
    // Answers of the admin port are short, and this ends with the connection.
    sidecar.take(4096).read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(format!("it answers {status:?}")))
}

/// As shells and container runtimes have it: 127 for a program that is not there, 126 for one that
/// can't be run.
fn not_started(program: &str, error: &io::Error) -> ExitCode {
    say(&format!("can't run {program}: {error}"));
    ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    })
}

/// As shells have it: 128 and the signal's number for a command that a signal ended.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Kubelet keeps what a hook says only if it fails.
fn say(text: &str) {
    eprintln!("ebb-hold: {text}");
}
