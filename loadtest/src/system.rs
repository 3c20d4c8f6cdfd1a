//! A system under load, as it is named on the command line:
//! `name=URL[,url=URL ...][,pid=PID ...][,model=MODEL][,key=KEY]`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::str::FromStr;

use http::{HeaderValue, Uri};
use serde::Serialize;
use thiserror::Error;

use crate::generator::Target;
use crate::mix::{MixError, path};
use crate::scenario::Scenario;
use crate::watch::Watched;

/// The name of the system that all others are compared with.
pub(crate) const DIRECT: &str = "direct";

/// One system: where it is asked, and the processes that it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) pids: Vec<u32>,
    pub(crate) model: Option<String>,
    /// Sent in place of the scenario's key.
    #[serde(skip)]
    pub(crate) key: Option<String>,
    /// Further processes with names of their own (`--watch`).
    #[serde(skip)]
    pub(crate) watched: Vec<Watched>,
}

/// Why a system cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SystemError {
    #[error("`{0}` is not a system; write name=http://host:port[,url=http://..][,pid=N][,model=M][,key=K]")]
    Shape(String),
    #[error("`{0}` has an unknown part `{1}`; known are url=, pid=, model= and key=")]
    Part(String, String),
    #[error("`{0}` is not a URL that can be loaded; write http://host:port (TLS is not supported)")]
    Url(String),
    #[error("cannot resolve {0}: {1}")]
    Resolve(String, #[source] std::io::Error),
    #[error("there is no process {1} to watch for `{0}`; give the pid of a running process")]
    NoProcess(String, u32),
    #[error(transparent)]
    Mix(#[from] MixError),
}

impl FromStr for System {
    type Err = SystemError;

    fn from_str(text: &str) -> Result<System, SystemError> {
        let mut parts = text.split(',');
        let first = parts.next().and_then(|first| first.split_once('='));
        let Some((name, url)) = first.filter(|(name, url)| !name.is_empty() && !url.is_empty()) else {
            return Err(SystemError::Shape(text.to_owned()));
        };
        let mut system = System::new(name, vec![url.to_owned()]);
        for part in parts {
            match part.split_once('=') {
                Some(("url", url)) => system.urls.push(url.to_owned()),
                Some(("model", model)) => system.model = Some(model.to_owned()),
                Some(("key", key)) => system.key = Some(key.to_owned()),
                Some(("pid", pid)) if pid.parse::<u32>().is_ok() => system.pids.extend(pid.parse::<u32>()),
                _ => return Err(SystemError::Part(text.to_owned(), part.to_owned())),
            }
        }
        Ok(system)
    }
}

impl System {
    pub(crate) fn new(name: &str, urls: Vec<String>) -> System {
        System { name: name.to_owned(), urls, pids: Vec::new(), model: None, key: None, watched: Vec::new() }
    }

    /// The direct path, given as `URL[,pid=..][,model=..]`.
    pub(crate) fn direct(text: &str) -> Result<System, SystemError> {
        format!("{DIRECT}={text}").parse()
    }

    /// The targets, with their addresses looked up once.
    pub(crate) fn targets(&self, scenario: &Scenario) -> Result<Vec<Target>, SystemError> {
        self.urls.iter().map(|url| target(url, scenario)).collect()
    }

    /// Checks, before anything is measured, that the processes to watch are there: one that is not would count as 0.
    pub(crate) fn check_processes(&self) -> Result<(), SystemError> {
        for watched in self.all_watched() {
            if let Some(pid) = watched.pids.iter().find(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                return Err(SystemError::NoProcess(watched.name, *pid));
            }
        }
        Ok(())
    }

    /// All that is watched while this system is under load.
    pub(crate) fn all_watched(&self) -> Vec<Watched> {
        let own = Watched { name: self.name.clone(), pids: self.pids.clone() };
        let own = Some(own).filter(|own| !own.pids.is_empty());
        let generator = Watched { name: GENERATOR.to_owned(), pids: vec![std::process::id()] };
        own.into_iter().chain(self.watched.iter().cloned()).chain([generator]).collect()
    }
}

/// The name of this process among the watched ones.
pub(crate) const GENERATOR: &str = "generator";

fn target(url: &str, scenario: &Scenario) -> Result<Target, SystemError> {
    let wrong = || SystemError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let mut found: Vec<SocketAddr> = (name, authority.port_u16().unwrap_or(80))
        .to_socket_addrs()
        .map_err(|error| SystemError::Resolve(authority.to_string(), error))?
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let address = found.first().copied().ok_or_else(wrong)?;
    Ok(Target { address, host, path: path(uri.path(), scenario)? })
}

/// Parses `name=pid`.
pub(crate) fn parse_watch(text: &str) -> Result<Watched, String> {
    let (name, pid) = text.split_once('=').ok_or("write name=pid")?;
    let pid = pid.parse().map_err(|_| format!("`{pid}` is not a process id"))?;
    Ok(Watched { name: name.to_owned(), pids: vec![pid] })
}

/// Parses `30s`, `500ms`, `2m`, `1h`.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a duration; write 500ms, 30s, 2m or 1h"))?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(format!("`{text}` needs a unit: 500ms, 30s, 2m or 1h")),
    };
    if !(0.0..=4.0 * 3600.0).contains(&seconds) {
        return Err(format!("`{text}` is not within 0 to 4h"));
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_system_is_parsed_with_all_its_parts() {
        let system: System =
            "peerway=http://127.0.0.1:1/x,url=http://127.0.0.1:2,pid=7,pid=8,model=a/b".parse().unwrap();
        assert_eq!((system.name.as_str(), system.urls.len(), system.pids.as_slice()), ("peerway", 2, &[7, 8][..]));
        assert_eq!(system.model.as_deref(), Some("a/b"));
        let scenario = Scenario::parse("x", "mix: [{kind: miss}]").unwrap();
        let targets = system.targets(&scenario).unwrap();
        assert_eq!(
            (targets[0].path.path(), targets[1].path.path()),
            ("/x/v1/chat/completions", "/v1/chat/completions")
        );
        assert_eq!(targets[1].address, "127.0.0.1:2".parse().unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [("http://x", "name="), ("a=http://x,pid=z", "pid=z"), ("a=http://x,foo=1", "foo=1")] {
            assert!(text.parse::<System>().unwrap_err().to_string().contains(word), "{text}");
        }
        let scenario = Scenario::parse("x", "mix: [{kind: miss}]").unwrap();
        let tls: System = "a=https://127.0.0.1".parse().unwrap();
        assert!(tls.targets(&scenario).unwrap_err().to_string().contains("TLS"));
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_and_not_a_zero() {
        let system: System = format!("a=http://x,pid={}", u32::MAX).parse().unwrap();
        assert!(system.check_processes().unwrap_err().to_string().contains("4294967295"));
        assert!(System::new("a", vec![]).check_processes().is_ok());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("30").is_err() && parse_duration("9h").is_err() && parse_duration("xs").is_err());
    }
}
