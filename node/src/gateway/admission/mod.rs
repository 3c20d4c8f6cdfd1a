//! What a node takes on: so many requests at once, in all and for each key, and so many bytes. Decided when a request's
//! key is known and before its body is read, so that turning it away costs next to nothing.
//!
//! Only requests for models come here: the control plane and the health of a node are asked for most when it is
//! overloaded.

mod concurrency;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;

use crate::config;
use crate::governance::VirtualKey;
use crate::http::body::{self, BodyRules, discard_briefly};
use crate::http::drain::{Drain, Phase};
use crate::http::error::ApiError;
use crate::http::memory::{self, Memory};
use crate::http::shed::{Shed, ShedCounts};
use crate::telemetry::exposition::{Kind, Page};
use concurrency::{Concurrency, Permit};
use keys::{KeyPermit, Keys};

/// The limits of one node, shared by its data-plane threads.
#[derive(Debug)]
pub struct Admission {
    concurrency: Concurrency,
    keys: Keys,
    memory: Memory,
    shed: Arc<ShedCounts>,
    drain: Drain,
}

/// A request that was taken on; it counts until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    _permit: Permit,
    _key: Option<KeyPermit>,
}

impl Admission {
    pub fn new(http: &config::Http, shed: Arc<ShedCounts>, drain: Drain) -> Self {
        let memory = http.max_body_memory.map_or_else(memory::default_limit, config::ByteSize::get);
        Self {
            concurrency: Concurrency::new(http.max_concurrent, http.max_queue_wait.get()),
            keys: Keys::default(),
            memory: Memory::new(memory),
            shed,
            drain,
        }
    }

    /// Takes a request on and reads its body, or says why not.
    pub async fn take(
        &self,
        key: Option<&VirtualKey>,
        headers: &HeaderMap,
        body: Body,
        rules: BodyRules,
    ) -> Result<(Admitted, Bytes), ApiError> {
        let admitted = match self.enter(key).await {
            Ok(admitted) => admitted,
            Err(error) => {
                discard_briefly(body).await;
                return Err(error);
            }
        };
        let read = body::read(headers, body, rules, &self.memory).await;
        if let Err(ApiError::Overloaded(shed)) = &read {
            self.shed.count(*shed);
        }
        read.map(|body| (admitted, body))
    }

    /// Takes a request on, at the latest after `http.max_queue_wait`.
    async fn enter(&self, key: Option<&VirtualKey>) -> Result<Admitted, ApiError> {
        let key = match key {
            Some(key) => self.keys.enter(key).inspect_err(|_| self.shed.count(Shed::Key))?,
            None => None,
        };
        match self.concurrency.enter().await {
            Ok(permit) => Ok(Admitted { _permit: permit, _key: key }),
            // Another node has more to offer than a moment's patience.
            Err(_) if self.drain.phase() > Phase::Serving => Err(self.shed(Shed::Draining)),
            Err(shed) => Err(self.shed(shed)),
        }
    }

    /// The answer to a request that is turned away, counted.
    pub fn shed(&self, shed: Shed) -> ApiError {
        self.shed.count(shed);
        ApiError::Overloaded(shed)
    }

    /// The bytes that bodies and answers may take.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    pub fn write_metrics(&self, page: &mut Page) {
        let name = "peerway_shed_total";
        page.family(name, Kind::Counter, "Requests and connections that were turned away, by reason.");
        for shed in Shed::ALL {
            page.sample(name, &[("reason", shed.as_str())], self.shed.of(shed));
        }
        for (name, help, value) in [
            (
                "peerway_requests_admitted",
                "Requests for models in progress, those that wait not counted.",
                self.concurrency.used() as u64,
            ),
            (
                "peerway_requests_queued",
                "Requests that wait for another one to end.",
                self.concurrency.waiting() as u64,
            ),
            ("peerway_body_memory_bytes", "Bytes held of bodies and answers.", self.memory.used()),
            ("peerway_body_memory_limit_bytes", "Bytes that may be held of bodies and answers.", self.memory.limit()),
        ] {
            page.family(name, Kind::Gauge, help);
            page.sample(name, &[], value);
        }
    }
}

/// How long a request waits at most in a queue that has not been empty for as long as `max_wait`.
const fn hurried(max_wait: Duration) -> Duration {
    Duration::from_nanos((max_wait.as_nanos() / 10) as u64)
}
