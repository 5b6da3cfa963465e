//! What happens in a conversation, and how a fuzzer writes it down.

use ebb_api::connections::{
    AtTimeout, ConnectionSettings, EventStreams, WebSocketCode, WebSockets,
};
use std::fmt;
use std::time::Duration;

/// One thing that happens to a connection.
#[derive(Clone, PartialEq, Eq)]
pub enum Act {
    /// The client says this, in one read.
    Client(Vec<u8>),
    /// The app says this, in one read.
    App(Vec<u8>),
    /// Time passes.
    Wait(Duration),
    /// The pod leaves from now on.
    Leave,
    /// It stays after all.
    Stay,
    /// This is the policy's setting from now on.
    Policy(ConnectionSettings),
    /// The app is about to go: what is idle is closed.
    Close,
    /// The deadline comes.
    Cut,
    /// The client sends its FIN.
    ClientEnds,
    /// The app sends its FIN.
    AppEnds,
    /// The app resets the connection.
    AppResets,
    /// Nobody listens at the app's port any more.
    AppStops,
    /// The client stops taking what is sent to it.
    ClientStalls,
    /// It takes again.
    ClientTakes,
}

/// In a script the next byte is said, whatever it is.
const LITERAL: u8 = 0xf0;
/// From here on the client speaks, in a read of its own. It is the first.
const CLIENT: u8 = 0xf1;
/// From here on the app speaks.
const APP: u8 = 0xf2;
/// Time passes; the next byte says how much of it.
const WAIT: u8 = 0xf3;
/// The policy changes; the next byte says to what.
const POLICY: u8 = 0xfe;

/// The bytes that stand for what happens beside that.
const EVENTS: [(u8, Act); 10] = [
    (0xf4, Act::Leave),
    (0xf5, Act::Stay),
    (0xf6, Act::ClientEnds),
    (0xf7, Act::AppEnds),
    (0xf8, Act::AppResets),
    (0xf9, Act::Cut),
    (0xfa, Act::ClientStalls),
    (0xfb, Act::ClientTakes),
    (0xfc, Act::Close),
    (0xfd, Act::AppStops),
];

/// Reads acts from a script, which any bytes are. Most bytes are what is said, as it is, so that a
/// fuzzer can add and remove some in any place; those from 0xf0 to 0xfe stand for all else.
pub fn acts_from(script: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut said = Vec::new();
    let mut speaker = CLIENT;
    let mut bytes = script.iter().copied();
    while let Some(byte) = bytes.next() {
        let event = EVENTS.iter().find(|(sign, _)| *sign == byte);
        let act = match (byte, event) {
            (LITERAL, _) => {
                said.extend(bytes.next());
                continue;
            }
            (CLIENT | APP, _) => None,
            (WAIT, _) => Some(Act::Wait(time(bytes.next().unwrap_or_default()))),
            (POLICY, _) => Some(Act::Policy(policy(bytes.next().unwrap_or_default()))),
            (_, Some((_, event))) => Some(event.clone()),
            (_, None) => {
                said.push(byte);
                continue;
            }
        };
        acts.extend(says(speaker, &mut said));
        match act {
            Some(act) => acts.push(act),
            None => speaker = byte,
        }
    }
    acts.extend(says(speaker, &mut said));
    acts
}

fn says(speaker: u8, said: &mut Vec<u8>) -> Option<Act> {
    let said = std::mem::take(said);
    let act = if speaker == CLIENT {
        Act::Client
    } else {
        Act::App
    };
    (!said.is_empty()).then(|| act(said))
}

/// Milliseconds one by one, then tenths of a second, up to 12.8 s.
fn time(byte: u8) -> Duration {
    let byte = u64::from(byte);
    Duration::from_millis(match byte {
        0..128 => byte,
        _ => (byte - 127) * 100,
    })
}

/// The words that a policy has for connections, a bit or two each.
fn policy(bits: u8) -> ConnectionSettings {
    ConnectionSettings {
        event_streams: match bits & 1 {
            0 => EventStreams::Wait,
            _ => EventStreams::End,
        },
        web_sockets: match bits & 2 {
            0 => WebSockets::Goodbye,
            _ => WebSockets::Wait,
        },
        web_socket_code: match bits & 16 {
            0 => WebSocketCode::DEFAULT,
            _ => WebSocketCode::from(4000),
        },
        at_timeout: match bits >> 2 & 3 {
            0 => AtTimeout::Close,
            1 => AtTimeout::Reset,
            _ => AtTimeout::Handover,
        },
        ..ConnectionSettings::default()
    }
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
            Act::Policy(settings) => settings.fmt(f),
            Act::Close => f.write_str("Close"),
            Act::Cut => f.write_str("Cut"),
            Act::ClientEnds => f.write_str("ClientEnds"),
            Act::AppEnds => f.write_str("AppEnds"),
            Act::AppResets => f.write_str("AppResets"),
            Act::AppStops => f.write_str("AppStops"),
            Act::ClientStalls => f.write_str("ClientStalls"),
            Act::ClientTakes => f.write_str("ClientTakes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs cut what is said; after the sign for it any byte is said.
    #[test]
    fn a_script_is_what_is_said_and_what_happens() {
        assert_eq!(
            acts_from(b"GET\xf1 /\xf4\xf2\xf0\xf0\xff\xf3\x0a\xf3\x80\xfe\x02"),
            [
                Act::Client(b"GET".to_vec()),
                Act::Client(b" /".to_vec()),
                Act::Leave,
                Act::App(vec![0xf0, 0xff]),
                Act::Wait(Duration::from_millis(10)),
                Act::Wait(Duration::from_millis(100)),
                Act::Policy(ConnectionSettings {
                    web_sockets: WebSockets::Wait,
                    ..ConnectionSettings::default()
                }),
            ]
        );
    }
}
