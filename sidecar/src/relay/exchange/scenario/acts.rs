//! What happens in a conversation, and how a fuzzer writes it down.

use ebb_api::connections::{ConnectionSettings, EventStreams, WebSockets};
use std::fmt;
use std::time::Duration;

/// One thing that happens to a connection.
#[derive(Clone, PartialEq, Eq)]
pub enum Act {
    /// The client says this, in one read.
    Client(Vec<u8>),
    /// The app says this, in one read.
    App(Vec<u8>),
    /// So much time passes.
    Wait(Duration),
    /// The pod leaves from now on.
    Leave,
    /// It stays after all.
    Stay,
    /// The policy says this from now on.
    Policy(ConnectionSettings),
    /// The client sends its FIN.
    ClientEnds,
    /// The app sends its FIN.
    AppEnds,
    /// The deadline comes.
    Cut,
}

/// Reads acts from any bytes: a kind, a number of two bytes, and as many bytes of what is said,
/// milliseconds, or what the policy says. What is cut short says less; nothing is wrong.
pub fn acts_from(mut bytes: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let number = u16::from_be_bytes([*high, *low]);
        let (said, behind) = rest.split_at(usize::from(number).min(rest.len()));
        let says = kind % 9 < 2;
        bytes = if says { behind } else { rest };
        acts.push(match kind % 9 {
            0 => Act::Client(said.to_vec()),
            1 => Act::App(said.to_vec()),
            2 => Act::Wait(Duration::from_millis(number.into())),
            3 => Act::Leave,
            4 => Act::Stay,
            5 => Act::ClientEnds,
            6 => Act::AppEnds,
            7 => Act::Cut,
            _ => Act::Policy(settings_from(number)),
        });
    }
    acts
}

/// Writes acts down as [`acts_from`] reads them: seeds for a fuzzer.
pub fn acts_to(acts: &[Act]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for act in acts {
        let (kind, number, said): (u8, usize, &[u8]) = match act {
            Act::Client(said) => (0, said.len(), said),
            Act::App(said) => (1, said.len(), said),
            Act::Wait(time) => (2, usize::try_from(time.as_millis()).unwrap_or(0), &[]),
            Act::Leave => (3, 0, &[]),
            Act::Stay => (4, 0, &[]),
            Act::ClientEnds => (5, 0, &[]),
            Act::AppEnds => (6, 0, &[]),
            Act::Cut => (7, 0, &[]),
            Act::Policy(settings) => (8, settings_to(settings), &[]),
        };
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        bytes.push(kind);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&said[..said.len().min(number.into())]);
    }
    bytes
}

/// The words that a policy has for connections, one bit each.
fn settings_from(bits: u16) -> ConnectionSettings {
    ConnectionSettings {
        event_streams: match bits & 1 {
            0 => EventStreams::Wait,
            _ => EventStreams::End,
        },
        web_sockets: match bits & 2 {
            0 => WebSockets::Goodbye,
            _ => WebSockets::Wait,
        },
        ..ConnectionSettings::default()
    }
}

fn settings_to(settings: &ConnectionSettings) -> usize {
    let ends = settings.event_streams == EventStreams::End;
    let waits = settings.web_sockets == WebSockets::Wait;
    usize::from(ends) | usize::from(waits) << 1
}

/// As text where it is text: a conversation that failed is there to be read.
impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Client(said) => write!(f, "Client(b\"{}\")", said.escape_ascii()),
            Act::App(said) => write!(f, "App(b\"{}\")", said.escape_ascii()),
            Act::Wait(time) => write!(f, "Wait({time:?})"),
            Act::Leave => f.write_str("Leave"),
            Act::Stay => f.write_str("Stay"),
            Act::ClientEnds => f.write_str("ClientEnds"),
            Act::AppEnds => f.write_str("AppEnds"),
            Act::Cut => f.write_str("Cut"),
            Act::Policy(settings) => settings.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written down is read again.
    #[test]
    fn acts_are_read_as_they_were_written() {
        let acts = vec![
            Act::Client(b"hello".to_vec()),
            Act::Leave,
            Act::App(Vec::new()),
            Act::Wait(Duration::from_millis(1500)),
            Act::Stay,
            Act::ClientEnds,
            Act::AppEnds,
            Act::Cut,
            Act::Policy(ConnectionSettings {
                event_streams: EventStreams::End,
                ..ConnectionSettings::default()
            }),
            Act::Policy(ConnectionSettings {
                web_sockets: WebSockets::Wait,
                ..ConnectionSettings::default()
            }),
        ];
        assert_eq!(acts_from(&acts_to(&acts)), acts);
        assert_eq!(
            acts_from(&[10, 0, 200, b'x']),
            [Act::App(b"x".to_vec())],
            "a short one says less"
        );
    }
}
