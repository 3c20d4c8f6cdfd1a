//! Tells operators of a budget or limit that is used to a half, to four fifths, and up: each once in a window.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peerway_cluster::ledger::allowance::{CounterId, Unit};
use tracing::warn;

use super::charges::Charge;
use super::{NanoUsd, rfc3339};
use crate::telemetry::exposition::{Kind, Page};

/// Percent. What is left beyond 99 is too little for most requests, so it counts as used up.
const THRESHOLDS: [(u64, u64); 3] = [(50, 50), (80, 80), (99, 100)];

/// A budget or limit that has passed a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// 50, 80 or 100.
    pub percent: u64,
    pub text: String,
}

/// What was told of.
#[derive(Debug, Default)]
pub struct Alerts {
    told: HashMap<CounterId, Told>,
    counts: Arc<[AtomicU64; THRESHOLDS.len()]>,
}

#[derive(Debug)]
struct Told {
    window_end: i64,
    thresholds: usize,
}

/// How often each threshold was told of.
#[derive(Debug, Clone)]
pub struct AlertCounts(Arc<[AtomicU64; THRESHOLDS.len()]>);

impl Alerts {
    pub fn counts(&self) -> AlertCounts {
        AlertCounts(Arc::clone(&self.counts))
    }

    /// What is to be told of now. Of several thresholds passed at once each is told.
    pub fn look(&mut self, charges: &[Charge], now: i64) -> Vec<Alert> {
        self.told.retain(|_, told| now < told.window_end);
        let mut alerts = Vec::new();
        for charge in charges {
            let (allowance, view) = (charge.slot.allowance(), charge.slot.view(now));
            if view.spent == 0 {
                continue;
            }
            let passed = THRESHOLDS.iter().filter(|(percent, _)| is_passed(view.spent, view.limit, *percent)).count();
            let counter = allowance.counter(now);
            let told = self.told.get(&counter).map_or(0, |told| told.thresholds);
            for (place, (_, percent)) in THRESHOLDS.iter().enumerate().take(passed).skip(told) {
                self.counts[place].fetch_add(1, Ordering::Relaxed);
                alerts.push(Alert {
                    percent: *percent,
                    text: text(charge, *percent, view.spent, view.limit, view.window_end),
                });
            }
            if passed > told {
                self.told.insert(counter, Told { window_end: view.window_end, thresholds: passed });
            }
        }
        alerts
    }

    /// The same, into the log.
    pub fn tell(&mut self, charges: &[Charge], now: i64) {
        for Alert { percent, text } in self.look(charges, now) {
            warn!(percent, "{text}");
        }
    }
}

impl AlertCounts {
    pub fn write_metrics(&self, page: &mut Page) {
        let name = "peerway_budget_alerts_total";
        page.family(name, Kind::Counter, "Budgets and limits that were seen to pass a threshold, in percent.");
        for ((_, percent), count) in THRESHOLDS.iter().zip(self.0.iter()) {
            page.sample(name, &[("threshold", &percent.to_string())], count.load(Ordering::Relaxed));
        }
    }
}

fn is_passed(spent: u64, limit: u64, percent: u64) -> bool {
    u128::from(spent) * 100 >= u128::from(limit) * u128::from(percent)
}

fn text(charge: &Charge, percent: u64, spent: u64, limit: u64, window_end: i64) -> String {
    let allowance = charge.slot.allowance();
    let (what, spent, limit) = match allowance.unit {
        Unit::NanoUsd => ("budget", format!("{} USD", NanoUsd::new(spent)), format!("{} USD", NanoUsd::new(limit))),
        unit => ("limit", spent.to_string(), format!("{limit} {unit}")),
    };
    let end = rfc3339(window_end).map_or_else(|| "which does not end".to_owned(), |end| format!("which ends at {end}"));
    let used = if percent == 100 { "used up".to_owned() } else { format!("used to more than {percent} %") };
    let (tier, owner, window) = (charge.tier, &charge.owner, allowance.window);
    format!("the {what} of {tier} `{owner}` is {used}: {spent} of {limit} in its window of {window}, {end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, Tier};
    use peerway_cluster::ledger::hot::{Slice, Slot};
    use peerway_cluster::ledger::window::WindowKind;

    const NOW: i64 = 1_795_253_467;

    fn charge() -> (Charge, Arc<Slice>) {
        let id = AllowanceId::of(Tier::Key, "k", Unit::NanoUsd, WindowKind::M1, 0);
        let allowance = Allowance { id, unit: Unit::NanoUsd, limit: 10_000_000_000, window: WindowKind::M1 };
        let slot = Arc::new(Slot::new(allowance));
        let slice = Arc::new(Slice::new(allowance.counter(NOW), WindowKind::M1.span(NOW).end));
        slot.set_slice(Some(Arc::clone(&slice)));
        (Charge { slot, tier: Tier::Key, owner: "k".into() }, slice)
    }

    #[test]
    fn each_threshold_is_told_once_in_a_window() {
        let (charge, slice) = charge();
        let mut alerts = Alerts::default();
        let mut percents = |spent: u64, now: i64| {
            slice.tell_known_spent(spent);
            let seen = alerts.look(std::slice::from_ref(&charge), now);
            seen.iter().map(|alert| alert.percent).collect::<Vec<_>>()
        };
        assert_eq!(percents(4_999_999_999, NOW), [0; 0]);
        assert_eq!(percents(5_000_000_000, NOW), [50]);
        assert_eq!(percents(7_000_000_000, NOW), [0; 0]);
        assert_eq!(percents(9_900_000_000, NOW), [80, 100], "however fast it goes");
        assert_eq!(percents(10_000_000_000, NOW), [0; 0]);
        assert_eq!(percents(10_000_000_000, NOW + 60), [0; 0], "the next window is another one");
        let page = &mut Page::default();
        alerts.counts().write_metrics(page);
        let text = std::mem::take(page).finish();
        assert!(text.contains("peerway_budget_alerts_total{threshold=\"80\"} 1"), "{text}");
    }

    #[test]
    fn the_text_names_owner_sums_and_end() {
        let (charge, slice) = charge();
        slice.tell_known_spent(8_500_000_000);
        let alerts = Alerts::default().look(&[charge], NOW);
        assert_eq!(
            alerts[1].text,
            "the budget of key `k` is used to more than 80 %: 8.5 USD of 10 USD in its window of 1m, \
             which ends at 2026-11-21T09:32:00Z"
        );
    }
}
