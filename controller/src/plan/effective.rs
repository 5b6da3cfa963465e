//! The values in force, as the condition Ready states them: the timeout, and what is not as it is by
//! default.

use ebb_api::connections::{
    AtTimeout, ConnectionSettings, DEFAULT_IDLE_SECONDS, EventStreams, WebSockets,
};
use ebb_api::settings::{DEFAULT_HTTP1_IDLE_SECONDS, Settings};

/// "up to 300 s each, goodbyes spread over 30 s".
pub fn values(settings: &Settings) -> String {
    if !settings.enabled {
        return "Ebb stands aside (enabled: false)".to_owned();
    }
    let mut values = vec![format!("up to {} s each", settings.timeout_seconds)];
    let idle = settings.deregistration.idle_seconds;
    if idle != DEFAULT_HTTP1_IDLE_SECONDS {
        values.push(format!("idle HTTP/1 clients waited for up to {idle} s"));
    }
    let ConnectionSettings {
        idle_seconds,
        pace_seconds,
        web_sockets,
        event_streams,
        at_timeout,
    } = settings.connections;
    if pace_seconds > 0 {
        values.push(format!("goodbyes spread over {pace_seconds} s"));
    }
    if idle_seconds != DEFAULT_IDLE_SECONDS {
        values.push(format!(
            "opaque connections idle after {idle_seconds} s of silence"
        ));
    }
    values.extend(match web_sockets {
        WebSockets::Goodbye => None,
        WebSockets::Wait => Some("WebSockets waited for".to_owned()),
    });
    values.extend(match event_streams {
        EventStreams::Wait => None,
        EventStreams::End => Some("event streams ended".to_owned()),
    });
    values.extend(match at_timeout {
        AtTimeout::Close => None,
        AtTimeout::Reset => Some("opaque connections reset at the timeout".to_owned()),
        AtTimeout::Handover => Some("opaque connections handed over at the timeout".to_owned()),
    });
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Defaults are not worth a word; all else is said.
    #[test]
    fn what_is_not_default_is_said() {
        let mut settings = Settings {
            enabled: true,
            ..Settings::without_policy()
        };
        assert_eq!(values(&settings), "up to 300 s each");
        settings.deregistration.idle_seconds = 0;
        settings.connections = ConnectionSettings {
            idle_seconds: 60,
            pace_seconds: 30,
            web_sockets: WebSockets::Wait,
            event_streams: EventStreams::End,
            at_timeout: AtTimeout::Handover,
        };
        assert_eq!(
            values(&settings),
            "up to 300 s each, idle HTTP/1 clients waited for up to 0 s, goodbyes spread over 30 s, \
             opaque connections idle after 60 s of silence, WebSockets waited for, event streams \
             ended, opaque connections handed over at the timeout"
        );
    }
}
