//! The attempts: each target in turn, each a few times, until one answers. Nothing has gone to the client yet, so a
//! failure here is silent but for the list of attempts.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use rand::RngExt;
use tokio::time::{Instant as Moment, timeout_at};

use super::Exchange;
use super::attempt::{Attempt, Client, Sent, charge, dress};
use super::hooks::{Outgoing, Refusal};
use super::outbound::{Outbound, Prepared};
use super::reserve::{reserve, worst_case};
use super::verdict::judge_unsent;
use crate::governance::{Charge, PriceBook, Reserved};
use crate::health::{Barred, Closed, Retry, Verdict};
use crate::http::error::ApiError;
use crate::http::shed::Shed;
use crate::provider::UpstreamKey;
use crate::routing::retry_budget::Attempts;
use crate::routing::{Ladder, Target, Why};

const BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// The other nodes hear of a pause a little later than the one that was told, and so keep it a little longer: a client
/// that comes back on the dot would be turned away there.
const HEARSAY: Duration = Duration::from_millis(200);

/// The story of the attempts, for whoever has to be told that all of them failed.
struct Story {
    text: String,
    status: StatusCode,
    retry_after: Option<Duration>,
    /// Why a target was not asked at all, the first time.
    not_asked: Option<ApiError>,
    /// A provider has answered, or should have.
    is_asked: bool,
    attempts: Attempts,
}

/// What trying a target came to.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and most are answers")]
enum Tried {
    Answered(Sent),
    /// Another target may help.
    Failed,
}

/// Tries the ladder of targets.
pub(super) async fn send(
    exchange: &mut Exchange,
    prices: &PriceBook,
    ladder: &Ladder,
    outbound: &mut Outbound<'_>,
    client: &http::HeaderMap,
) -> Result<Sent, ApiError> {
    let mut story = Story::new();
    let key = exchange.key().map(Arc::clone);
    // What the client is told when all have failed, if that is not the last failure.
    let (mut primary, mut too_long) = (None, None);
    let mut next = ladder.first();
    while let Some(rung) = next {
        next = ladder.next(rung, Why::Failed);
        let target = &ladder.targets()[rung];
        let charges = key.as_ref().and_then(|key| key.charges()).map(|charges| charges.at(&target.upstream.name));
        let cap = exchange.account.as_ref().and_then(|account| account.asked().cap());
        let prepared = match outbound.prepare(target, cap) {
            Ok(prepared) => prepared,
            // It is the request that nobody could read.
            Err(error @ ApiError::Decode(_)) => return Err(error),
            Err(error) => {
                story.skipped(target, error);
                continue;
            }
        };
        match at_provider(exchange, prices, target, charges).await {
            Ok(reserved) => exchange.enter_provider(reserved),
            Err(error) => {
                story.skipped(target, error);
                continue;
            }
        }
        let way = (ladder, rung);
        match try_target(exchange, prices, way, &prepared, outbound, client, &mut story).await? {
            Tried::Answered(sent) => match longer(ladder, rung, &sent) {
                None => {
                    exchange.dropped = prepared.dropped;
                    exchange.dropped.absorb(sent.unread());
                    return Ok(sent);
                }
                longer => {
                    next = longer;
                    story.attempts.answered();
                    too_long.get_or_insert((sent, prepared.dropped));
                }
            },
            Tried::Failed => {}
        }
        primary.get_or_insert((story.status, story.retry_after));
    }
    if let Some((sent, dropped)) = too_long {
        exchange.set_target(sent.target());
        exchange.dropped = dropped;
        return Ok(sent);
    }
    if let Some(error) = story.not_asked.filter(|_| exchange.attempts == 0) {
        return Err(error);
    }
    let last = (story.status, story.retry_after);
    let (status, retry_after) = primary.filter(|_| ladder.tells_of_the_first()).unwrap_or(last);
    let hearsay = if status == StatusCode::TOO_MANY_REQUESTS { HEARSAY } else { Duration::ZERO };
    let retry_after = retry_after.map(|after| after.saturating_add(hearsay));
    Err(ApiError::Upstream { status, attempts: story.text, retry_after })
}

/// The target to ask after one that has found the request too long for its model, if there is a longer one.
fn longer(ladder: &Ladder, rung: usize, sent: &Sent) -> Option<usize> {
    let is_too_long = matches!(sent, Sent::Plain { is_too_long: true, .. });
    is_too_long.then(|| ladder.next(rung, Why::ContextExceeded)).flatten()
}

/// Tries one target with each of its keys, as long as that may help.
async fn try_target(
    exchange: &mut Exchange,
    prices: &PriceBook,
    (ladder, rung): (&Ladder, usize),
    prepared: &Prepared,
    outbound: &Outbound<'_>,
    client: &http::HeaderMap,
    story: &mut Story,
) -> Result<Tried, ApiError> {
    let target = &ladder.targets()[rung];
    let gateway = Arc::clone(&exchange.worker().gateway);
    let mut failed_keys: Vec<Arc<str>> = Vec::new();
    let (mut retries, mut is_granted) = (0, false);
    // The key to try again with.
    let mut again = None;
    loop {
        let Some(key) = again.take().or_else(|| ladder.key(rung, &failed_keys, &*gateway.observed)) else {
            if failed_keys.is_empty() {
                story.tell(target, None, "no key of this provider may be used for the model");
            }
            return Ok(Tried::Failed);
        };
        let watched = gateway.health.target(&target.upstream.name, key.map(|key| &key.id), &target.model);
        let watch = match watched.begin(Instant::now()) {
            Ok(watch) => watch,
            // Only a belief, and nobody else to ask.
            Err(closed) if closed.reason == Barred::Rate && ladder.next(rung, Why::Failed).is_none() => {
                watched.begin_regardless(Instant::now())
            }
            Err(closed) => {
                story.closed(target, key, &closed);
                let Some(key) = key else { return Ok(Tried::Failed) };
                failed_keys.push(Arc::clone(&key.id));
                continue;
            }
        };
        if !std::mem::take(&mut is_granted) && story.is_withheld(exchange, target) {
            return Ok(Tried::Failed);
        }
        // Nothing keeps the attempt from being made any more but a hook, and what one refuses was never an attempt.
        refused_by_hook(exchange, target, prepared, outbound.envelope.stream)?;
        exchange.attempts += 1;
        exchange.set_target(target);
        let started = Instant::now();
        let call = prepared.call(&target.model, outbound.envelope.stream);
        let making = target.upstream.request(&call, key, prepared.body.clone());
        let made = match exchange.deadline {
            None => making.await,
            Some(deadline) => match timeout_at(deadline, making).await {
                Ok(made) => made,
                // What it waited for goes on without it.
                Err(_) => return Err(story.late()),
            },
        };
        let mut request = match made {
            Ok(request) => request,
            // Nothing was sent: this key has no credential to show, or there is no such call at the provider.
            Err(error) => {
                watch.end(judge_unsent(&error), None);
                story.tell(target, key, &error.to_string());
                match key {
                    Some(key) => failed_keys.push(Arc::clone(&key.id)),
                    None => return Ok(Tried::Failed),
                }
                continue;
            }
        };
        let request_id = exchange.request_id().clone();
        let from = Client { dialect: outbound.call.dialect, headers: client, request_id: &request_id };
        dress(&mut request, prepared.dialect, &from);
        exchange.sent(prices.find(&target.upstream.name, &target.model).cloned());
        let attempt = Attempt {
            worker: exchange.worker().index,
            target,
            call: &watch,
            dialect: prepared.dialect,
            asks: prepared.asks.as_ref(),
            outbound,
            request_id: &request_id,
            deadline: exchange.deadline,
            memory: gateway.admission.memory(),
        };
        let result = attempt.send(request).await;
        exchange.add_upstream_wait(started.elapsed());
        exchange.answered(|account| charge(account, &result));
        let failure = match result {
            Ok(sent) => {
                exchange.worker().shard.attempt(&target.upstream.name, "ok");
                exchange.watch(watch, &sent);
                return Ok(Tried::Answered(sent));
            }
            Err(failure) => failure,
        };
        // A client that waits for less than the provider may take must not open the breaker for all others.
        let is_impatient = failure.class == "deadline" && is_late(exchange, Duration::ZERO);
        let verdict = if is_impatient { Verdict::CLIENT } else { failure.verdict };
        watch.end(verdict, failure.retry_after);
        if verdict.is_whole_key
            && let Some(key) = key
        {
            key.refused();
        }
        exchange.worker().shard.attempt(&target.upstream.name, failure.class);
        if exchange.is_client_gone() {
            return Err(ApiError::ClientGone);
        }
        // Its client has waited for as long as one target may take; another one gets the next turn.
        if failure.class == "deadline" && ladder.next(rung, Why::Failed).is_some() {
            retries = target.upstream.retries;
        }
        story.tell(target, key, &failure.detail);
        story.is_asked = true;
        story.status = failure.status.unwrap_or(StatusCode::BAD_GATEWAY);
        story.retry_after = failure.retry_after;
        match (failure.verdict.retry(), key) {
            (Retry::OtherKey, Some(key)) => failed_keys.push(Arc::clone(&key.id)),
            (Retry::OtherKey, None) => return Ok(Tried::Failed),
            (Retry::SameKey, _) if retries < target.upstream.retries => {
                let pause = backoff(retries).max(failure.retry_after.unwrap_or_default());
                if pause > MAX_BACKOFF || is_late(exchange, pause) {
                    return Ok(Tried::Failed);
                }
                // Nobody waits for what is not granted.
                if story.is_withheld(exchange, target) {
                    return Ok(Tried::Failed);
                }
                is_granted = true;
                again = Some(key);
                tokio::time::sleep(pause).await;
                retries += 1;
            }
            (Retry::SameKey, _) => return Ok(Tried::Failed),
            // Not the client's fault, which would have gone on to it: this node itself was in the way.
            (Retry::Never, _) => return Err(gateway.admission.shed(Shed::Memory)),
        }
        if is_late(exchange, Duration::ZERO) {
            return Err(story.late());
        }
    }
}

/// Whether the client will have stopped waiting by then.
fn is_late(exchange: &Exchange, after: Duration) -> bool {
    exchange.deadline.is_some_and(|deadline| Moment::now() + after >= deadline)
}

fn refused_by_hook(exchange: &Exchange, target: &Target, prepared: &Prepared, stream: bool) -> Result<(), ApiError> {
    let outgoing = Outgoing {
        key: exchange.key().map(|key| &*key.id),
        provider: &target.upstream.name,
        model: &target.model,
        dialect: prepared.dialect,
        stream,
        body: &prepared.body,
    };
    let hooks = &exchange.worker().gateway.hooks;
    hooks.before(&outgoing).map_err(|Refusal(why)| ApiError::Refused(why))
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

impl Story {
    fn new() -> Self {
        Self {
            text: String::new(),
            status: StatusCode::BAD_GATEWAY,
            retry_after: None,
            not_asked: None,
            is_asked: false,
            attempts: Attempts::default(),
        }
    }

    /// Takes the attempt from the retry budget, or tells that it cannot be made.
    fn is_withheld(&mut self, exchange: &Exchange, target: &Target) -> bool {
        let Err(withheld) = self.attempts.begin(target, Instant::now()) else { return false };
        exchange.worker().shard.withheld(&withheld.provider);
        self.tell(target, None, &withheld.to_string());
        true
    }

    /// Nobody waits for another attempt.
    fn late(&self) -> ApiError {
        let between = if self.text.is_empty() { "" } else { "; " };
        ApiError::Upstream {
            status: StatusCode::GATEWAY_TIMEOUT,
            attempts: format!("{}{between}the client waits no longer", self.text),
            retry_after: None,
        }
    }

    /// A target that was not asked.
    fn skipped(&mut self, target: &Target, why: ApiError) {
        self.tell(target, None, &why.to_string());
        self.not_asked.get_or_insert(why);
    }

    /// A target that is left alone. When no other was asked, the client hears when it may come again.
    fn closed(&mut self, target: &Target, key: Option<&UpstreamKey>, closed: &Closed) {
        let wait = closed.again_in.as_secs_f64();
        let next = match closed.reason {
            Barred::Breaker if closed.again_in.is_zero() => "a probe is under way".to_owned(),
            Barred::Breaker => format!("the next probe is due in {wait:.1} s"),
            Barred::Capacity | Barred::Key | Barred::Rate => format!("it may be asked again in {wait:.1} s"),
        };
        self.tell(target, key, &format!("not asked, as {}: {next}", closed.reason.as_str()));
        if !self.is_asked {
            self.status = match closed.reason {
                Barred::Capacity | Barred::Rate => StatusCode::TOO_MANY_REQUESTS,
                Barred::Breaker | Barred::Key => StatusCode::SERVICE_UNAVAILABLE,
            };
            let sooner = self.retry_after.map_or(closed.again_in, |known| known.min(closed.again_in));
            self.retry_after = Some(sooner);
        }
    }

    fn tell(&mut self, target: &Target, key: Option<&UpstreamKey>, detail: &str) {
        let between = if self.text.is_empty() { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{between}{}/{}", target.upstream.name, target.model);
        if let Some(key) = key {
            let _ = write!(self.text, " (key {})", key.id);
        }
        let _ = write!(self.text, ": {detail}");
    }
}
