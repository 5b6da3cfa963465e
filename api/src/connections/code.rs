//! The codes with which a server may close a WebSocket.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A code that a server may put into a Close frame: those of RFC 6455, section 7.4, and of the
/// registry that it founds.
///
/// | codes | |
/// |---|---|
/// | 1000 to 1003, 1007 to 1009, 1011 to 1014 | have a meaning that is registered |
/// | 3000 to 4999 | belong to libraries, frameworks and applications |
/// | 1004, 1016 to 2999 | are reserved |
/// | 1005, 1006, 1015 | never stand in a frame: they say what came in the place of one |
/// | 1010 | only a client says it |
/// | all others | mean nothing, and clients fail at them |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "u16")]
pub struct WebSocketCode(u16);

impl WebSocketCode {
    /// The code where a policy names none: "service restart". RFC 6455 has 1001 ("going away") for
    /// a server that goes down and for a page that was left; some clients know the second alone,
    /// and stay away (`docs/policy.md` has what was measured).
    pub const DEFAULT: WebSocketCode = WebSocketCode(1012);

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// This code, if a server may say it.
    pub fn new(code: i64) -> Option<WebSocketCode> {
        let allowed = matches!(code, 1000..=1003 | 1007..=1009 | 1011..=1014 | 3000..=4999);
        let code = u16::try_from(code).ok().filter(|_| allowed);
        code.map(WebSocketCode)
    }
}

impl Default for WebSocketCode {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A number that no server may say is the default: only an API server without Ebb's rules lets it
/// through.
impl From<i64> for WebSocketCode {
    fn from(code: i64) -> Self {
        Self::new(code).unwrap_or_default()
    }
}

impl From<WebSocketCode> for u16 {
    fn from(code: WebSocketCode) -> Self {
        code.get()
    }
}

impl fmt::Display for WebSocketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each end of each range of the table.
    #[test]
    fn a_server_says_what_the_rfc_lets_it() {
        for code in [1000, 1001, 1003, 1007, 1009, 1011, 1012, 1014, 3000, 4999] {
            let taken = WebSocketCode::new(code).map(WebSocketCode::get);
            assert_eq!(taken.map(i64::from), Some(code));
        }
        let forbidden = [
            -1,
            0,
            999,
            1004,
            1005,
            1006,
            1010,
            1015,
            1016,
            2999,
            5000,
            65_536,
            66_536,
            i64::MAX,
        ];
        for code in forbidden {
            assert_eq!(WebSocketCode::new(code), None, "{code}");
        }
    }

    /// On the wire it is a number, and one that may not be said does not cost the message that it
    /// is in.
    #[test]
    fn a_forbidden_number_is_read_as_the_default() {
        let read = |text| serde_json::from_str::<WebSocketCode>(text).unwrap();
        assert_eq!(read("1001").get(), 1001);
        assert_eq!(read("1006"), WebSocketCode::DEFAULT);
        assert_eq!(serde_json::to_string(&read("4000")).unwrap(), "4000");
    }
}
