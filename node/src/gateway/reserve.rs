//! Taking a request's worst case from all its allowances, before anything is sent.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peerway_cluster::ledger::allowance::Unit;
use peerway_cluster::ledger::hot::{Part, try_hold};
use peerway_cluster::ledger::reservation::{Denial, MAX_CHARGES};

use super::Worker;
use crate::governance::account::Asked;
use crate::governance::{Amounts, Charge, Charges, Limits, Mode, NanoUsd, PriceBook, Reserved, VirtualKey};
use crate::http::error::{ApiError, Denied};
use crate::http::shed::Shed;
use crate::routing::{Ladder, Target};

/// What the key's requests are charged to, if there is anything.
pub(super) fn charges(key: Option<&VirtualKey>) -> Result<Option<&Charges>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let Some(charges) = key.charges() else {
        return Err(ApiError::BudgetsNotReady { waits_for: "the ledger has not been started".to_owned() });
    };
    if charges.is_too_many() {
        let waits_for = format!(
            "key `{}`, its team, its customer and one of its providers have {} budgets and limits together, at most {} can be counted",
            key.id,
            charges.most(),
            MAX_CHARGES,
        );
        return Err(ApiError::BudgetsNotReady { waits_for });
    }
    Ok(Some(charges).filter(|charges| !charges.is_empty()))
}

/// Leaves the targets that a key with these charges may use: money that is counted is spent only where the price is
/// known.
pub(crate) fn only_priced(charges: &Charges, prices: &PriceBook, ladder: &mut Ladder) -> Result<(), ApiError> {
    let first = ladder.targets().first().cloned();
    ladder.retain("its price is not known, and the key has a budget", |target| is_priced(charges, prices, target));
    match (ladder.first(), first) {
        (None, Some(first)) => Err(ApiError::UnpricedModel { model: first.name() }),
        _ => Ok(()),
    }
}

pub(super) fn is_priced(charges: &Charges, prices: &PriceBook, target: &Target) -> bool {
    !charges.has_budget(&target.upstream.name) || prices.find(&target.upstream.name, &target.model).is_some()
}

/// The most that one answer of any of these targets can take.
pub(super) fn worst_case(asked: &Asked, prices: &PriceBook, targets: &[Target]) -> Amounts {
    let prompt_tokens = asked.estimate().prompt_tokens;
    let mut most = Amounts { requests: 1, ..Amounts::default() };
    for target in targets {
        let price = prices.find(&target.upstream.name, &target.model);
        let output = asked.worst_output(&price.map_or(Limits::default(), |price| price.limits));
        let cost = price.map_or(NanoUsd::ZERO, |price| match asked.estimate().caches_for_an_hour {
            true => price.worst_case_for_an_hour(prompt_tokens, output, Mode::Standard),
            false => price.worst_case(prompt_tokens, output, Mode::Standard),
        });
        most.nano_usd = most.nano_usd.max(cost.get());
        most.tokens = most.tokens.max(prompt_tokens.saturating_add(output));
    }
    most
}

/// How long an answer may be, a choice, when its budgets cannot pay for a longer one.
const CAPS: [u64; 3] = [1024, 256, 64];

/// Takes the worst case of a request from all of the charges. Where that is more than is left, and the request does not
/// say how long its answer may be, the gateway says it: a shorter answer is better than none, and the last of a budget
/// can be spent.
pub(super) async fn reserve_worst_case(
    worker: &Worker,
    charges: &[Charge],
    asked: &mut Asked,
    prices: &PriceBook,
    ladder: &[Target],
) -> Result<Option<Reserved>, ApiError> {
    let amounts = worst_case(asked, prices, ladder);
    let refused = match take(worker, charges, &amounts).await {
        Err(error) if is_for_length(&error) && asked.is_open_ended() => error,
        result => return counted(worker, result),
    };
    for cap in CAPS {
        asked.set_cap(Some(cap));
        let shorter = worst_case(asked, prices, ladder);
        if shorter.tokens < amounts.tokens
            && let Ok(reserved) = take(worker, charges, &shorter).await
        {
            return Ok(reserved);
        }
    }
    asked.set_cap(None);
    counted(worker, Err(refused))
}

/// Whether a shorter answer would have been within what is left.
fn is_for_length(error: &ApiError) -> bool {
    match error {
        ApiError::BudgetExceeded(_) => true,
        ApiError::RateLimited(denied) => denied.unit == Unit::Tokens,
        _ => false,
    }
}

/// Takes these amounts from all of the charges, or says which of them has not enough. `None`: nothing to take from.
pub(super) async fn reserve(
    worker: &Worker,
    charges: &[Charge],
    amounts: &Amounts,
) -> Result<Option<Reserved>, ApiError> {
    counted(worker, take(worker, charges, amounts).await)
}

/// A request that is refused in the end counts once.
fn counted<T>(worker: &Worker, result: Result<T, ApiError>) -> Result<T, ApiError> {
    if let Err(ApiError::BudgetExceeded(denied) | ApiError::RateLimited(denied)) = &result {
        worker.shard.denied(denied.tier);
    }
    result
}

async fn take(worker: &Worker, charges: &[Charge], amounts: &Amounts) -> Result<Option<Reserved>, ApiError> {
    if charges.is_empty() {
        return Ok(None);
    }
    let began = Instant::now();
    let parts: Vec<Part<'_>> =
        charges.iter().map(|charge| Part { slot: &charge.slot, amount: amounts.of(charge.unit()) }).collect();
    let now = unix_now();
    let granted = match try_hold(&parts, now) {
        Some(hold) => Ok(hold),
        None => match parts.iter().position(|part| part.slot.is_beyond(part.amount, now)) {
            Some(beyond) => Err(denied(&charges[beyond], amounts, now)),
            None => {
                let ledger = &worker.gateway.ledger;
                let granted = ledger.hold(&parts).await;
                granted.map_err(|denial| refused(worker, charges, amounts, &denial))
            }
        },
    };
    worker.shard.reserve.observe(began.elapsed());
    Ok(Some(Reserved::new(granted?, charges)))
}

/// The first of the charges of which nothing is left, as far as is known without asking anybody.
pub(super) fn used_up(charges: &Charges) -> Option<ApiError> {
    let now = unix_now();
    let least = Amounts { nano_usd: 1, tokens: 1, requests: 1 };
    let used_up = charges.always().iter().find(|charge| charge.slot.is_beyond(1, now))?;
    Some(denied(used_up, &least, now))
}

fn refused(worker: &Worker, charges: &[Charge], amounts: &Amounts, denial: &Denial) -> ApiError {
    if let Some(waits_for) = worker.gateway.ledger.not_ready() {
        return ApiError::BudgetsNotReady { waits_for };
    }
    match denial {
        Denial::Exhausted { allowance, .. } => {
            match charges.iter().find(|charge| charge.slot.allowance().id == *allowance) {
                Some(charge) => denied(charge, amounts, unix_now()),
                None => ApiError::BudgetsNotReady { waits_for: denial.to_string() },
            }
        }
        Denial::Busy => worker.gateway.admission.shed(Shed::Ledger),
        _ => ApiError::BudgetsNotReady { waits_for: denial.to_string() },
    }
}

fn denied(charge: &Charge, amounts: &Amounts, now: i64) -> ApiError {
    let view = charge.slot.view(now);
    let allowance = charge.slot.allowance();
    let denied = Denied {
        tier: charge.tier,
        owner: Arc::clone(&charge.owner),
        unit: allowance.unit,
        limit: view.limit,
        window: allowance.window,
        needed: amounts.of(allowance.unit),
        left: view.limit.saturating_sub(view.spent),
        window_end: (view.window_end != i64::MAX).then_some(view.window_end),
        wait: until(view.window_end),
    };
    let denied = Box::new(denied);
    if denied.unit == Unit::NanoUsd { ApiError::BudgetExceeded(denied) } else { ApiError::RateLimited(denied) }
}

/// How long until this unix second. A whole second begins at its start, so the fraction that has gone of the current one
/// is not waited for twice.
pub(super) fn until(unix_seconds: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0)).saturating_sub(now)
}

pub(super) fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
