//! HTTP/1.0 and HTTP/1.1 (RFC 9112): where requests and responses begin and end.
//!
//! ```text
//!  client bytes --> Requests  --Head, End-->  who is open, in order
//!  app bytes    --> Responses --Head, End-->  (a response is read knowing its request's method)
//! ```

mod body;
mod fields;
mod gather;
mod head;
mod messages;

pub(in crate::track) use body::Chunk;
pub use body::Framing;
pub(crate) use fields::tokens;
pub use gather::HEAD_LIMIT;
pub use head::{EventStreamBody, Method, RequestHead, ResponseHead, Upgrade};
pub use messages::{MessageEvent, Messages, Requests, Responses};

#[cfg(test)]
mod tests;
