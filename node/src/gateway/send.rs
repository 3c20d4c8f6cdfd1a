//! The attempts: each target in turn, each a few times, until one answers. Nothing has gone to the client yet, so a
//! failure here is silent but for the list of attempts.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rand::RngExt;

use super::Exchange;
use super::attempt::{Next, Sent, attempt, charge, request};
use super::ladder::longer;
use super::reserve::{reserve, worst_case};
use crate::dialect::openai::{Envelope, Rewrite};
use crate::governance::{Charge, PriceBook, Reserved};
use crate::http::error::ApiError;
use crate::provider::UpstreamKey;
use crate::routing::retry_budget::Attempts;
use crate::routing::{Ladder, Target, Why};

const BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Tries the ladder of targets.
pub(super) async fn send(
    exchange: &mut Exchange,
    prices: &PriceBook,
    ladder: &Ladder,
    envelope: &Envelope,
    body: &Bytes,
    headers: &HeaderMap,
) -> Result<Sent, ApiError> {
    let mut story = String::new();
    let mut last = (StatusCode::BAD_GATEWAY, None);
    let key = exchange.key().map(Arc::clone);
    let gateway = Arc::clone(&exchange.worker().gateway);
    let observed = &*gateway.observed;
    let mut no_budget = None;
    let mut attempts = Attempts::default();
    let mut primary = None;
    let mut too_long = None;
    let mut next = ladder.first();
    'ladder: while let Some(rung) = next {
        next = ladder.next(rung, Why::Failed);
        let target = &ladder.targets()[rung];
        let charges = key.as_ref().and_then(|key| key.charges()).map(|charges| charges.at(&target.upstream.name));
        match at_provider(exchange, prices, target, charges).await {
            Ok(reserved) => exchange.enter_provider(reserved),
            Err(error) => {
                tell(&mut story, target, None, &error.to_string());
                no_budget.get_or_insert(error);
                continue;
            }
        }
        let cap = exchange.account.as_ref().and_then(|account| account.asked().cap());
        let max_output = cap.map(|cap| (target.upstream.max_output_member, cap));
        let rewrite = Rewrite { model: Some(&target.model), ask_for_usage: true, max_output };
        let upstream_body = envelope.rewrite(body, rewrite);
        let mut failed_keys: Vec<Arc<str>> = Vec::new();
        let mut retries = 0;
        loop {
            let Some(key) = ladder.key(rung, &failed_keys, observed) else {
                if failed_keys.is_empty() {
                    tell(&mut story, target, None, "no key of this provider may be used for the model");
                }
                break;
            };
            let started = Instant::now();
            if let Err(withheld) = attempts.begin(target, started) {
                exchange.worker().shard.withheld(&withheld.provider);
                tell(&mut story, target, None, &withheld.to_string());
                break 'ladder;
            }
            exchange.attempts += 1;
            exchange.set_target(target);
            let request =
                request(&target.upstream, key, &upstream_body, headers, exchange.request_id(), envelope.stream);
            exchange.sent(prices.find(&target.upstream.name, &target.model).cloned());
            let result = attempt(exchange.worker().index, target, request).await;
            exchange.add_upstream_wait(started.elapsed());
            exchange.answered(|account| charge(account, &result));
            let failure = match result {
                Ok(sent) => {
                    exchange.worker().shard.attempt(&target.upstream.name, "ok");
                    let longer = match &sent {
                        Sent::Plain { status, body, .. } => longer(ladder, rung, *status, body),
                        Sent::Stream { .. } => None,
                    };
                    if longer.is_none() {
                        return Ok(sent);
                    }
                    tell(&mut story, target, key, "the request is longer than its context window");
                    next = longer;
                    too_long.get_or_insert(sent);
                    break;
                }
                Err(failure) => failure,
            };
            exchange.worker().shard.attempt(&target.upstream.name, failure.class);
            if exchange.is_client_gone() {
                return Err(ApiError::ClientGone);
            }
            tell(&mut story, target, key, &failure.detail);
            if primary.get_or_insert(rung) == &rung || !ladder.tells_of_the_first() {
                last = (failure.status.unwrap_or(StatusCode::BAD_GATEWAY), failure.retry_after);
            }
            match (failure.next, key) {
                (Next::OtherKey, Some(key)) => failed_keys.push(Arc::clone(&key.id)),
                (Next::OtherKey, None) => break,
                (Next::Retry, _) if retries < target.upstream.retries => {
                    tokio::time::sleep(backoff(retries)).await;
                    retries += 1;
                }
                (Next::Retry, _) => break,
            }
        }
    }
    if let Some(sent) = too_long {
        if let Sent::Plain { target, .. } = &sent {
            exchange.set_target(target);
        }
        return Ok(sent);
    }
    if let Some(error) = no_budget.filter(|_| exchange.attempts == 0) {
        return Err(error);
    }
    Err(ApiError::Upstream { status: last.0, attempts: story, retry_after: last.1 })
}

/// Takes what a request to this provider may cost from what the key may spend there.
async fn at_provider(
    exchange: &Exchange,
    prices: &PriceBook,
    target: &Target,
    charges: Option<&[Charge]>,
) -> Result<Option<Reserved>, ApiError> {
    match (charges, &exchange.account) {
        (Some(charges), Some(account)) if !charges.is_empty() => {
            let amounts = worst_case(account.asked(), prices, std::slice::from_ref(target));
            reserve(exchange.worker(), charges, &amounts).await
        }
        _ => Ok(None),
    }
}

/// Full jitter, doubling: many nodes that failed together must not come back together.
fn backoff(retries: u32) -> Duration {
    let ceiling = BACKOFF.saturating_mul(1 << retries.min(8)).min(MAX_BACKOFF);
    rand::rng().random_range(Duration::ZERO..=ceiling)
}

fn tell(story: &mut String, target: &Target, key: Option<&UpstreamKey>, detail: &str) {
    // Writing to a String cannot fail.
    let _ = write!(story, "{}{}/{}", if story.is_empty() { "" } else { "; " }, target.upstream.name, target.model);
    if let Some(key) = key {
        let _ = write!(story, " (key {})", key.id);
    }
    let _ = write!(story, ": {detail}");
}
