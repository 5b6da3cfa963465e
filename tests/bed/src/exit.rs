//! How a program of this crate ends.

use std::process::ExitCode;

use anyhow::Result;

/// The exit code that the program found; an error is told on stderr, and is a failure.
pub fn of(result: Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
