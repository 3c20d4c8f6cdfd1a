//! `/api/budgets`: every budget and limit in its running window, over the whole cluster.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use peerway_cluster::ledger::service::CounterView;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use crate::governance::access::now_unix;
use crate::governance::{Charge, rfc3339};

/// All budgets and limits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BudgetList {
    budgets: Vec<BudgetView>,
}

/// A budget or limit in its running window. Sums are of all nodes, in its unit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BudgetView {
    /// `customer`, `team`, `key`, or `provider_config`: one provider as one key may use it.
    tier: &'static str,
    /// Whose it is; `key/provider` for a provider as a key may use it.
    id: String,
    /// `nano_usd`, `tokens` or `requests`.
    unit: &'static str,
    limit: u64,
    window: &'static str,
    /// `null`: the window has no beginning.
    window_start: Option<String>,
    /// `null`: the window does not end.
    window_end: Option<String>,
    spent: u64,
    /// Held by requests under way.
    reserved: u64,
    remaining: u64,
    /// Each node's part.
    nodes: BTreeMap<String, NodeView>,
    /// When it is used up if it goes on as it did since the window began; `null`: not before its end.
    forecast_exhausted_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeView {
    /// What it may still spend without asking.
    rights: u64,
    spent: u64,
    reserved: u64,
}

/// What is spent, held and left of every budget and limit. The same at any node, once the cluster is quiet.
#[utoipa::path(get, path = "/api/budgets", tag = "budgets", responses((status = 200, body = BudgetList)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<BudgetList> {
    let counters = admin.ledger.counters().await;
    let counters: HashMap<_, _> = counters.into_iter().map(|counter| (counter.allowance.id, counter)).collect();
    let access = admin.gateway.access.load();
    let now = now_unix();
    let budgets = access.charges().iter().filter_map(|charge| {
        let counter = counters.get(&charge.slot.allowance().id)?;
        Some(view(charge, counter, now))
    });
    Json(BudgetList { budgets: budgets.collect() })
}

fn view(charge: &Charge, counter: &CounterView, now: i64) -> BudgetView {
    let CounterView { allowance, window_start, window_end, spent, reserved, ref nodes } = *counter;
    BudgetView {
        tier: charge.tier.as_str(),
        id: charge.owner.to_string(),
        unit: allowance.unit.as_str(),
        limit: allowance.limit,
        window: allowance.window.as_str(),
        window_start: rfc3339(window_start),
        window_end: rfc3339(window_end),
        spent,
        reserved,
        remaining: allowance.limit.saturating_sub(spent).saturating_sub(reserved),
        nodes: nodes
            .iter()
            .map(|(node, part)| {
                let view = NodeView { rights: part.rights, spent: part.spent, reserved: part.reserved };
                (node.to_string(), view)
            })
            .collect(),
        forecast_exhausted_at: exhausted_at(counter, now).and_then(rfc3339),
    }
}

/// By the mean rate since the window began.
fn exhausted_at(counter: &CounterView, now: i64) -> Option<i64> {
    let CounterView { allowance, window_start, window_end, spent, .. } = *counter;
    let elapsed = u128::try_from(now.checked_sub(window_start)?).ok().filter(|elapsed| *elapsed > 0)?;
    let left = allowance.limit.saturating_sub(spent);
    let seconds = (u128::from(left) * elapsed).checked_div(u128::from(spent))?;
    let at = now.checked_add(i64::try_from(seconds).ok()?)?;
    (at < window_end).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, Unit};
    use peerway_cluster::ledger::window::WindowKind;

    fn counter(spent: u64, window: WindowKind, now: i64) -> CounterView {
        let id = AllowanceId::from_bytes([1; 16]);
        let allowance = Allowance { id, unit: Unit::Tokens, limit: 1_000, window };
        let span = window.span(now);
        CounterView {
            allowance,
            window_start: span.start,
            window_end: span.end,
            spent,
            reserved: 0,
            nodes: BTreeMap::new(),
        }
    }

    #[test]
    fn the_forecast_is_linear_and_only_within_the_window() {
        let midnight = 86_400 * 20_000;
        let now = midnight + 6 * 3_600;
        let at = |spent: u64| exhausted_at(&counter(spent, WindowKind::D1, now), now).map(|at| at - midnight);
        assert_eq!(at(0), None);
        assert_eq!(at(250), None, "just at the end");
        assert_eq!(at(500), Some(12 * 3_600));
        assert_eq!(at(1_000), Some(6 * 3_600), "it is used up");
        assert_eq!(exhausted_at(&counter(500, WindowKind::Forever, now), now), None);
        assert_eq!(exhausted_at(&counter(500, WindowKind::D1, midnight), midnight), None, "nothing to go by");
    }
}
