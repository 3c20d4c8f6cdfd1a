//! `x-ratelimit-*`: how much of a key's limits is left, as far as this node knows.

use http::{HeaderMap, HeaderName, HeaderValue};
use peerway_cluster::ledger::allowance::Unit;

use super::reserve::{unix_now, until};
use crate::governance::Charges;

/// The limit, what remains of it, and when it begins anew.
type Names = [HeaderName; 3];

static REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Of each unit, the limit of which the least is left.
pub(super) fn stamp(charges: &Charges, headers: &mut HeaderMap) {
    for (unit, names) in [(Unit::Requests, &REQUESTS), (Unit::Tokens, &TOKENS)] {
        let of_unit = charges.always().iter().filter(|charge| charge.unit() == unit);
        let views = of_unit.map(|charge| charge.slot.view(unix_now()));
        let Some(tightest) = views.min_by_key(|view| view.limit.saturating_sub(view.spent)) else { continue };
        let [limit, remaining, reset] = names;
        headers.insert(limit, HeaderValue::from(tightest.limit));
        headers.insert(remaining, HeaderValue::from(tightest.limit.saturating_sub(tightest.spent)));
        if tightest.window_end != i64::MAX
            && let Ok(value) = HeaderValue::try_from(format!("{}s", until(tightest.window_end).as_secs() + 1))
        {
            headers.insert(reset, value);
        }
    }
}
