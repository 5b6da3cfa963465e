//! HTTP/1.0 and HTTP/1.1 (RFC 9112): where requests and responses begin and end.
//!
//! ```text
//!  client bytes --> Requests  --Head, End-->  who is open, in order
//!  app bytes    --> Responses --Head, End-->  (a response is read knowing its request's method)
//! ```

use super::Step;

mod body;
mod head;
mod requests;
mod responses;

pub(in crate::track) use body::Chunk;
pub use body::Framing;
pub(crate) use head::tokens;
pub use head::{EventStreamBody, HEAD_LIMIT, Method, RequestHead, ResponseHead, Upgrade};
pub use requests::{RequestEvent, Requests};
pub use responses::{ResponseEvent, Responses};

#[cfg(test)]
mod tests;
