//! The values in force, as the condition Ready states them: the timeout, and what is not as it is
//! by default.

use ebb_api::connections::{
    AtTimeout, ConnectionSettings, DEFAULT_IDLE_SECONDS, EventStreams, WebSocketCode, WebSockets,
};
use ebb_api::settings::{
    DEFAULT_HTTP1_IDLE_SECONDS, DEFAULT_MAX_SECONDS, DEFAULT_QUIET_SECONDS, DeregistrationSettings,
    Settings,
};

/// "up to 300 s each, goodbyes spread over 30 s".
pub fn values(settings: &Settings) -> String {
    if !settings.enabled {
        return "Ebb stands aside (enabled: false)".to_owned();
    }
    let mut values = vec![format!("up to {} s each", settings.timeout_seconds)];
    let DeregistrationSettings {
        min_seconds,
        quiet_seconds,
        idle_seconds: http1_idle_seconds,
        max_seconds,
    } = settings.deregistration;
    if min_seconds > 0 {
        values.push(format!("accepting for at least {min_seconds} s"));
    }
    if quiet_seconds != DEFAULT_QUIET_SECONDS {
        values.push(format!(
            "accepting until {quiet_seconds} s without new work"
        ));
    }
    if max_seconds != DEFAULT_MAX_SECONDS {
        values.push(format!("accepting for at most {max_seconds} s"));
    }
    if http1_idle_seconds != DEFAULT_HTTP1_IDLE_SECONDS {
        values.push(format!(
            "idle HTTP/1 clients waited for up to {http1_idle_seconds} s"
        ));
    }
    let ConnectionSettings {
        idle_seconds,
        pace_seconds,
        web_sockets,
        web_socket_code,
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
    if web_socket_code != WebSocketCode::DEFAULT {
        values.push(format!("WebSockets closed with {web_socket_code}"));
    }
    values.extend(match event_streams {
        EventStreams::Wait => None,
        EventStreams::End => Some("event streams ended".to_owned()),
    });
    values.extend(match at_timeout {
        AtTimeout::Close => None,
        AtTimeout::Reset => Some("opaque connections reset at the timeout".to_owned()),
        AtTimeout::Handover => Some("opaque connections handed over at the timeout".to_owned()),
    });
    if let Some(shutdown) = settings.shutdown_seconds {
        values.push(format!("the app's shutdown given at least {shutdown} s"));
    }
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
        settings.deregistration = DeregistrationSettings {
            min_seconds: 10,
            quiet_seconds: 7,
            idle_seconds: 0,
            max_seconds: 60,
        };
        settings.shutdown_seconds = Some(40);
        settings.connections = ConnectionSettings {
            idle_seconds: 60,
            pace_seconds: 30,
            web_sockets: WebSockets::Wait,
            web_socket_code: WebSocketCode::from(4000),
            event_streams: EventStreams::End,
            at_timeout: AtTimeout::Handover,
        };
        assert_eq!(
            values(&settings),
            "up to 300 s each, accepting for at least 10 s, accepting until 7 s without new work, \
             accepting for at most 60 s, idle HTTP/1 clients waited for up to 0 s, goodbyes spread \
             over 30 s, opaque connections idle after 60 s of silence, WebSockets waited for, \
             WebSockets closed with 4000, event streams ended, opaque connections handed over at the \
             timeout, the app's shutdown given at least 40 s"
        );
    }
}
