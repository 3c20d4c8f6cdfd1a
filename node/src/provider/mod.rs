//! Upstreams: who they are, how they are reached, which key is sent.
//!
//! - [`table`]: the kinds of providers, a row each
//! - [`upstream`](Upstream): a provider, prepared; [`request`](UpstreamCall): a call to it as an HTTP request
//! - `site`, `endpoint`, `headers`, `vertex`: its URLs, its headers, and what is particular about a body
//! - `credential`, `service_account`, `token`: what it is shown to know who asks
//! - [`address`], [`url`]: where a provider may live; [`resolve`]: names are looked up and judged
//! - `client`, `connect`: connections, by a proxy or without; `http1`, `link`: those that carry one request at a time;
//!   `lanes`: those that carry many; `body`: what comes back by them; [`late`](Late): what does not come in time

pub mod address;
mod body;
mod client;
mod connect;
mod credential;
mod endpoint;
pub mod headers;
mod http1;
mod lanes;
mod late;
mod link;
mod pattern;
mod request;
pub mod resolve;
mod service_account;
mod site;
pub mod table;
mod token;
mod upstream;
pub mod url;
mod vertex;

pub use body::{Body, BodyError, UnknownCoding};
pub use client::{Client, ClientFactory, SendError, Way};
pub use connect::{Connector, Proxy};
pub use credential::{BadKey, check_key};
pub use late::{Late, Timeout};
pub use pattern::Pattern;
pub use request::{RequestError, UpstreamCall};
pub use service_account::BadServiceAccount;
pub use token::TokenError;
pub use upstream::{Upstream, UpstreamError, UpstreamKey};
