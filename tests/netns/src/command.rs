//! Runs a program to its end; a failure carries the command line and what it said.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `command` and returns its stdout.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("{}: {}{}", line(command), output.status, said(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` to its end and returns what came of it; fails only if it can't be started.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", line(command)))
}

/// Runs `command` with our own stdin, stdout and stderr, and returns its exit status as a number
/// (128 and the signal's number when a signal ended it, as shells do).
pub fn interactive(command: &mut Command) -> Result<u8> {
    use std::os::unix::process::ExitStatusExt as _;

    let status = command
        .status()
        .with_context(|| format!("can't start {}", line(command)))?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// The command line as a person would type it.
pub fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn said(output: &Output) -> String {
    let text = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    match text.trim() {
        "" => " (it said nothing)".to_owned(),
        text => format!("\n{text}"),
    }
}
