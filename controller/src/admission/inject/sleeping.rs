//! Commands that do nothing but sleep: they become a least length of the drain, and nobody runs
//! them.
//!
//! Only what certainly does no more is understood. All that counts of a hook is how long it takes
//! and what it does to others: kubelet keeps what a hook says only if it fails
//! (pkg/kubelet/lifecycle/handlers.go of Kubernetes 1.35), so `echo` does nothing, either. Whatever
//! is not understood is run, by `hold`; nothing is lost by that but some time.

/// The commands of a script that end well and do nothing.
const NOTHING: [&str; 4] = [":", "true", "echo", "set"];

/// Shells, whose options we know.
const SHELLS: [&str; 6] = ["sh", "bash", "ash", "dash", "ksh", "zsh"];

/// A letter of the shells' options that changes nothing for a script that only sleeps: `-c` itself,
/// and errexit, nounset, verbose, xtrace and login.
const OPTIONS: &str = "ceuvxl";

/// The programs that have others in them, as in `busybox sleep 5`.
const MULTI_CALL: [&str; 2] = ["busybox", "toybox"];

/// The seconds of a command that only sleeps, rounded up; `None` if it may do anything else.
pub(super) fn seconds(command: &[String]) -> Option<u32> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    Some(rounded_up(program(&words)?))
}

/// The time of a program with its arguments.
fn program(words: &[&str]) -> Option<f64> {
    let (path, arguments) = words.split_first()?;
    match name(path) {
        "sleep" => slept(arguments),
        "true" => Some(0.0),
        inner if MULTI_CALL.contains(&inner) => program(arguments),
        shell if SHELLS.contains(&shell) => script(after_options(arguments)?),
        _ => None,
    }
}

/// The name of a program that is given with or without one of the usual folders.
fn name(path: &str) -> &str {
    ["/usr/local/bin/", "/usr/bin/", "/bin/"]
        .iter()
        .find_map(|folder| path.strip_prefix(folder))
        .unwrap_or(path)
}

/// The script of a shell's arguments, of which one option must be `-c`. What follows the script are
/// its own arguments, which one that only sleeps does not read.
fn after_options<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let is_option = |word: &&&str| word.starts_with('-') && **word != "--";
    let options: Vec<_> = arguments.iter().take_while(is_option).collect();
    let known = |option: &str| {
        let letters = option.strip_prefix('-').unwrap_or_default();
        !letters.is_empty() && letters.chars().all(|letter| OPTIONS.contains(letter))
    };
    if !options.iter().all(|option| known(option))
        || !options.iter().any(|option| option.contains('c'))
    {
        return None;
    }
    let rest = &arguments[options.len()..];
    let rest = rest.strip_prefix(&["--"]).unwrap_or(rest);
    rest.first().copied()
}

/// The time of a script of commands that all end well, so that `&&` goes on and `||` does not.
fn script(text: &str) -> Option<f64> {
    let mut time = 0.0;
    // What is not run any more has to be understood all the same: a sleep may be killed.
    let (mut skipped, mut ended) = (false, false);
    for (command, separator) in commands(text)? {
        let words = words(command)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (words, replaces) = match words.as_slice() {
            ["exec", words @ ..] => (words, true),
            words => (words, false),
        };
        let (takes, exits) = match words {
            [] => (0.0, false),
            ["exit"] => (0.0, true),
            // A hook that fails ends like another one; kubelet writes an Event.
            ["exit", code] if code.parse::<u8>().is_ok() => (0.0, true),
            [nothing, ..] if NOTHING.contains(nothing) && !replaces => (0.0, false),
            words => (program(words)?, replaces),
        };
        if !skipped && !ended {
            time += takes;
            ended = exits;
        }
        skipped = separator == "||";
    }
    Some(time)
}

/// The commands of a script, each with what separates it from the next.
fn commands(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut commands = Vec::new();
    let mut rest = text;
    let mut quote = None;
    let mut at = 0;
    while let Some(letter) = rest[at..].chars().next() {
        let separator = ["&&", "||", ";", "\n"]
            .into_iter()
            .find(|separator| rest[at..].starts_with(separator));
        match (quote, letter, separator) {
            (Some(open), _, _) => {
                if letter == open {
                    quote = None;
                }
            }
            (None, '"' | '\'', _) => quote = Some(letter),
            (None, _, Some(separator)) => {
                commands.push((&rest[..at], separator));
                rest = &rest[at + separator.len()..];
                at = 0;
                continue;
            }
            (None, _, None) => {}
        }
        at += letter.len_utf8();
    }
    commands.push((rest, ""));
    quote.is_none().then_some(commands)
}

/// The words of a command. `None` where a shell would do more with it than take it apart:
/// variables, files, jobs.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(letter),
            (Some(_), '$' | '`' | '\\') => return None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, _) if letter.is_alphanumeric() || "-_./:,+=%@".contains(letter) => {
                word.get_or_insert_default().push(letter);
            }
            (None, _) => return None,
        }
    }
    words.extend(word);
    // `NAME=value command` sets a variable, which nothing here reads; it is left to a shell.
    let assigns = words.first().is_some_and(|first| first.contains('='));
    (quote.is_none() && !assigns).then_some(words)
}

/// The time of `sleep` with these arguments, which it adds up (GNU coreutils and busybox do).
fn slept(arguments: &[&str]) -> Option<f64> {
    if arguments.is_empty() {
        return None;
    }
    arguments.iter().map(|argument| duration(argument)).sum()
}

/// A number of seconds, minutes, hours or days, as `sleep` takes it: `10`, `0.5`, `1m`.
fn duration(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let is_decimal = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| is_decimal)?;
    Some(match unit {
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => number,
    })
}

fn rounded_up(seconds: f64) -> u32 {
    // A cast of a float stops at the bounds of the number.
    seconds.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str]) -> Option<u32> {
        let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        seconds(&words)
    }

    /// Each way to say it, with the whole seconds that it takes.
    #[test]
    fn commands_that_only_sleep_are_understood() {
        for (command, expected) in [
            (&["sleep", "5"][..], 5),
            (&["/bin/sleep", "5s"], 5),
            (&["sleep", "1m"], 60),
            (&["sleep", "1h", "1m", "1"], 3661),
            (&["sleep", "1d"], 86_400),
            (&["sleep", "0.5"], 1),
            (&["sleep", "1.5m"], 90),
            (&["sleep", ".1"], 1),
            (&["sleep", "0"], 0),
            (&["sleep", "99999999999"], u32::MAX),
            (&["busybox", "sleep", "7"], 7),
            (&["/bin/busybox", "sh", "-c", "sleep 7"], 7),
            (&["true"], 0),
            (&["sh", "-c", "sleep 10"], 10),
            (&["/bin/sh", "-c", " sleep  10 "], 10),
            (&["sh", "-c", "sleep 10;"], 10),
            (&["sh", "-c", "sleep 10\n"], 10),
            (&["sh", "-c", "exec sleep 10"], 10),
            (&["sh", "-ec", "sleep 10"], 10),
            (&["sh", "-e", "-c", "sleep 10"], 10),
            (&["sh", "-c", "--", "sleep 10"], 10),
            (&["bash", "-lc", "sleep 10"], 10),
            (&["/usr/bin/bash", "-c", "sleep 5s"], 5),
            (&["/bin/ash", "-c", "sleep 10"], 10),
            (&["sh", "-c", "sleep 10; exit 0"], 10),
            (&["sh", "-c", "sleep 10 && true"], 10),
            (&["sh", "-c", "sleep 10 || true"], 10),
            (&["sh", "-c", "sleep 10 || sleep 5 && sleep 1"], 11),
            (&["sh", "-c", "sleep 10; exit 1; sleep 20"], 10),
            (&["sh", "-c", "set -e; echo 'bye; & > $x'; sleep 10"], 10),
            (&["sh", "-c", "echo \"bye, all\" && sleep \"10\""], 10),
            (&["sh", "-c", "sleep 0.4; sleep 0.4"], 1),
            (&["sh", "-c", "sleep 10", "sh", "-x"], 10),
            (&["sh", "-c", ""], 0),
        ] {
            assert_eq!(of(command), Some(expected), "{command:?}");
        }
    }

    /// Whatever may do more, or is not known to be what it looks like, is no sleep.
    #[test]
    fn commands_that_may_do_more_are_not() {
        for command in [
            &[][..],
            &["sleep"],
            &["sleep", "five"],
            &["sleep", "-5"],
            &["sleep", "1h30"],
            &["sleep", "1e3"],
            &["sleep", "0x10"],
            &["sleep", "infinity"],
            &["sleep", "."],
            &["sleep", "m"],
            &["sleep", "--help"],
            &["/opt/sleep", "5"],
            &["nginx", "-s", "quit"],
            &["busybox", "nslookup", "5"],
            &["busybox"],
            &["sh"],
            &["sh", "-c"],
            &["sh", "-c", "sleep", "5"],
            &["sh", "-x", "sleep 5"],
            &["sh", "/wait-shutdown"],
            &["sh", "-oc", "sleep 5"],
            &["sh", "-c", "sleep 5; deregister"],
            &["sh", "-c", "sleep 5 && nginx -s quit"],
            &["sh", "-c", "sleep 5 || kill 1"],
            &["sh", "-c", "sleep $DELAY"],
            &["sh", "-c", "sleep \"$DELAY\""],
            &["sh", "-c", "sleep `cat /delay`"],
            &["sh", "-c", "sleep 5 &"],
            &["sh", "-c", "sleep 5 & sleep 6"],
            &["sh", "-c", "sleep 5 | sleep 6"],
            &["sh", "-c", "sleep 5 > /tmp/x"],
            &["sh", "-c", "echo bye > /tmp/x; sleep 5"],
            &["sh", "-c", "(sleep 5)"],
            &["sh", "-c", "X=1 sleep 5"],
            &["sh", "-c", "sleep 5 # a while"],
            &["sh", "-c", "sleep \"5"],
            &["sh", "-c", "exec echo bye"],
            &["sh", "-c", "exec sleep 5; nginx -s quit"],
            &["sh", "-c", "if true; then sleep 5; fi"],
        ] {
            assert_eq!(of(command), None, "{command:?}");
        }
    }
}
