//! The application's log: one JSON object a line, each with its time.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// Where the lines go. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    writer: Arc<Mutex<dyn Write + Send>>,
}

impl Log {
    /// A log that writes to `writer`.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Writes a line: `{"at": <milliseconds since 1970>, "event": <event>, …details}`.
    pub fn line(&self, event: &str, details: Value) {
        let mut line = Map::new();
        line.insert("at".to_owned(), json!(now_ms()));
        line.insert("event".to_owned(), json!(event));
        if let Value::Object(details) = details {
            line.extend(details);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be told to anyone when the log itself is gone; serving goes on.
        let _written = writer
            .write_all(text.as_bytes())
            .and_then(|()| writer.flush());
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

/// This machine's clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
