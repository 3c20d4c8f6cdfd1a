//! Budgets and limits as numbers: so much of a unit in every window.

use peerway_cluster::ledger::allowance::Unit;
use peerway_cluster::ledger::window::WindowKind;

use crate::config::{Budget, Limit, LimitUnit};
use crate::governance::NanoUsd;

/// A budget (in nano-USD) or a limit (in requests or tokens). An owner has at most one with the same unit and window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    pub unit: Unit,
    pub limit: u64,
    pub window: WindowKind,
}

/// A budget or limit that cannot be understood, though it was checked before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its budget or limit of `{0}` is not one that this version knows")]
pub struct UnknownCap(String);

/// The budgets and limits of one owner.
pub fn caps(budgets: &[Budget], limits: &[Limit]) -> Result<Box<[Cap]>, UnknownCap> {
    let window = |text: &str| text.parse().map_err(|_| UnknownCap(text.to_owned()));
    let budgets = budgets.iter().map(|budget| {
        let limit: NanoUsd = budget.limit_usd.parse().map_err(|_| UnknownCap(budget.limit_usd.clone()))?;
        Ok(Cap { unit: Unit::NanoUsd, limit: limit.get(), window: window(&budget.window)? })
    });
    let limits = limits.iter().map(|limit| {
        let unit = match limit.unit {
            LimitUnit::Requests => Unit::Requests,
            LimitUnit::Tokens => Unit::Tokens,
        };
        Ok(Cap { unit, limit: limit.limit, window: window(&limit.window)? })
    });
    budgets.chain(limits).collect()
}
