//! From names to addresses, without those that a provider may not live at: what was checked is what is dialled.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;

use super::address::{Reach, reach};

pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A way to look names up.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of a name; the port is not looked at.
    fn resolve(&self, name: &str) -> Resolving;
}

/// The operating system's.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Resolve for System {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// Whether an address may be dialled.
pub(super) fn is_allowed(address: SocketAddr, allow_private: bool) -> bool {
    match reach(address.ip()) {
        Reach::Public => true,
        Reach::Private => allow_private,
        Reach::Never => false,
    }
}

/// A resolver that answers with allowed addresses only.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) resolve: Arc<dyn Resolve>,
    pub(super) allow_private: bool,
}

impl tower::Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { resolve, allow_private } = self.clone();
        Box::pin(async move {
            let mut found = resolve.resolve(name.as_str()).await?;
            let none = found.is_empty();
            found.retain(|address| is_allowed(*address, allow_private));
            if found.is_empty() && !none {
                return Err(refused(name.as_str(), allow_private));
            }
            Ok(found.into_iter())
        })
    }
}

/// The error for a host whose addresses may not be dialled.
pub(super) fn refused(host: &str, allow_private: bool) -> io::Error {
    let why = if allow_private {
        format!("{host} is at link-local, multicast or metadata addresses only, where no provider is called")
    } else {
        format!("{host} is at private addresses only; set `allow_private: true` to call it")
    };
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
