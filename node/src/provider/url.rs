//! URLs of the configuration: what is no URL that a request can go to, and what is one that it must not go to.
//!
//! A URL is read once and strictly. What another reader might take for a different host (`http://0177.0.0.1`,
//! `http://[fe80::1%25eth0]`, `http://a@b`) is refused instead of being understood.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::InvalidUri;

use super::address::{Reach, reach};

/// Names of the own machine or network, where no look-up says so: what a proxy is asked for is looked up by the proxy.
const PRIVATE_SUFFIXES: [&str; 7] = ["localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa"];

#[derive(Debug, thiserror::Error)]
pub enum BadUrl {
    #[error("not a URL: {0}")]
    NotAUrl(#[from] InvalidUri),
    #[error("a URL with a user or a password in it")]
    Credentials,
    #[error("not an http or https URL with a host")]
    NoHost,
    #[error("a base URL ends with its path: routes are added to it")]
    Query,
    #[error("a proxy's URL is its scheme, host and port alone")]
    Path,
    #[error("`{host}` is not the name of a host")]
    Name { host: String },
    #[error("`{host}` can be read as several addresses")]
    Ambiguous { host: String },
    #[error("`{host}` is a loopback or private address")]
    Private { host: String },
    #[error(
        "`{host}` is an address of the machine's own network where no service is: link-local, multicast or a cloud's metadata"
    )]
    Never { host: String },
}

/// Whether names are judged by themselves because somebody else looks them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Their addresses are judged when they are dialled.
    Resolved,
    /// By their endings; a name of one word is of the own network.
    ByEnding,
}

/// A URL that requests may go to as far as its text tells; the path has no `/` at its end.
pub fn target(text: &str, allow_private: bool, names: Names) -> Result<Uri, BadUrl> {
    let uri = parse(text, allow_private, names)?;
    if uri.query().is_some() || text.contains('#') {
        return Err(BadUrl::Query);
    }
    Ok(uri)
}

/// The URL of a proxy.
pub fn proxy(text: &str, allow_private: bool) -> Result<Uri, BadUrl> {
    let uri = parse(text, allow_private, Names::Resolved)?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
        return Err(BadUrl::Path);
    }
    Ok(uri)
}

fn parse(text: &str, allow_private: bool, names: Names) -> Result<Uri, BadUrl> {
    let uri: Uri = text.parse()?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(BadUrl::Credentials);
    }
    let (Some("http" | "https"), Some(name)) = (uri.scheme_str(), uri.host().filter(|host| !host.is_empty())) else {
        return Err(BadUrl::NoHost);
    };
    let owned = || name.to_owned();
    let reach = match host(name)? {
        Host::Address(address) => reach(address),
        Host::Name(name) if is_private(name, names) => Reach::Private,
        Host::Name(_) => Reach::Public,
    };
    match reach {
        Reach::Never => Err(BadUrl::Never { host: owned() }),
        Reach::Private if !allow_private => Err(BadUrl::Private { host: owned() }),
        _ => Ok(uri),
    }
}

/// What a URL names as its host.
pub(super) enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

/// Reads a host as an address or a name of a host, and nothing in between.
pub(super) fn host(text: &str) -> Result<Host<'_>, BadUrl> {
    let bad = || BadUrl::Name { host: text.to_owned() };
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(bad)?;
        return inner.parse::<Ipv6Addr>().map(|address| Host::Address(address.into())).map_err(|_| bad());
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let mut last = "";
    for label in name.split('.') {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if label.is_empty() || label.len() > 63 || !label.bytes().all(fits) {
            return Err(bad());
        }
        last = label;
    }
    if name.len() > 253 {
        return Err(bad());
    }
    // As the URL standard has it: what ends in a number is an IPv4 address, in whatever notation.
    let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some_and(hexadecimal);
    if number { Err(BadUrl::Ambiguous { host: text.to_owned() }) } else { Ok(Host::Name(name)) }
}

fn is_private(name: &str, names: Names) -> bool {
    let ends_with = |suffix: &str| {
        let Some(at) = name.len().checked_sub(suffix.len()) else { return false };
        name.is_char_boundary(at)
            && name[at..].eq_ignore_ascii_case(suffix)
            && (at == 0 || name.as_bytes()[at - 1] == b'.')
    };
    match names {
        Names::Resolved => ends_with("localhost"),
        Names::ByEnding => !name.contains('.') || PRIVATE_SUFFIXES.into_iter().any(ends_with),
    }
}

impl BadUrl {
    /// What to write instead; `owner` is the block that can allow private addresses.
    pub fn hint(&self, example: &str, owner: &str) -> Option<String> {
        match self {
            Self::NotAUrl(_) | Self::NoHost | Self::Path => Some(format!("write e.g. {example}")),
            Self::Credentials => {
                Some("put the credential into a key of its own, where it is kept out of logs".to_owned())
            }
            Self::Name { .. } => Some("write a DNS name or an address; IPv6 in brackets and without a zone".to_owned()),
            Self::Ambiguous { .. } => Some("write an IPv4 address as four decimal numbers".to_owned()),
            Self::Private { .. } => Some(format!("add `allow_private: true` to {owner} to call it")),
            Self::Query | Self::Never { .. } => None,
        }
    }
}
