//! How many attempts there may be beyond each request's first: a share of the requests themselves, so that an outage is
//! never answered with a multiple of the usual traffic, and a few a second where there is little traffic.
//!
//! One budget a provider and node. A request's first attempt is never withheld and is what fills it; a further attempt,
//! at the same provider or another, is taken from the budget of the provider whose failure made it necessary. Another
//! provider is asked even when nothing is left: its client would get an error although somebody could answer, and an
//! outage does not multiply by it, as the failing provider's breaker opens after a few. Counted are the last [`WINDOW`]
//! seconds, by seconds, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::warn;

use super::Target;
use crate::config;
use crate::provider::Upstream;

/// Seconds that the share is taken of. An outage begins with the requests that are under way failing together: a window
/// of a minute leaves room for those of the last six seconds.
const WINDOW: u32 = 60;
/// Seconds that the minimum is granted in: short, so that it is no second burst.
const MINIMUM_WINDOW: u32 = 10;
const SLOTS: usize = 64;

/// The further attempts of one provider's failures on this node.
#[derive(Debug)]
pub struct RetryBudget {
    /// Further attempts for a million requests.
    share: u64,
    /// Further attempts a second that there may always be.
    minimum: u32,
    began: Instant,
    /// One a second, used in turn.
    seconds: [AtomicU64; SLOTS],
    /// The second after the one in which the log was told last.
    told: AtomicU64,
}

/// What happened in one second, in a word that is swapped as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Second {
    /// Which one, of 24 bits.
    number: u32,
    requests: u32,
    further: u32,
}

const COUNT_BITS: u32 = 20;
const MOST: u32 = (1 << COUNT_BITS) - 1;
const NUMBERS: u32 = 1 << 24;

impl Second {
    fn unpack(word: u64) -> Self {
        let count = |shift: u32| (word >> shift) as u32 & MOST;
        Self { number: (word >> (2 * COUNT_BITS)) as u32, requests: count(COUNT_BITS), further: count(0) }
    }

    fn pack(self) -> u64 {
        let count = |count: u32| u64::from(count.min(MOST));
        u64::from(self.number) << (2 * COUNT_BITS) | count(self.requests) << COUNT_BITS | count(self.further)
    }

    /// Seconds that have begun since this one did.
    fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.number) % NUMBERS
    }
}

impl RetryBudget {
    pub fn new(config: &config::Retries) -> Self {
        let seconds = std::array::from_fn(|_| AtomicU64::new(0));
        let share = (config.budget * 1e6).round() as u64;
        Self { share, minimum: config.minimum, began: Instant::now(), seconds, told: AtomicU64::new(0) }
    }

    /// A request is about to be sent for the first time.
    pub fn first(&self, now: Instant) {
        self.first_at(self.second(now));
    }

    /// Takes one further attempt, if there may be one.
    pub fn further(&self, now: Instant) -> bool {
        self.further_at(self.second(now))
    }

    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.began).as_secs() as u32 % NUMBERS
    }

    /// Once a window: an outage would fill the log.
    fn is_to_be_told(&self, now: Instant) -> bool {
        let now = u64::from(self.second(now));
        let told = self.told.load(Ordering::Relaxed);
        let is_new = told == 0 || now >= told + u64::from(WINDOW);
        is_new && self.told.compare_exchange(told, now + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn first_at(&self, now: u32) {
        let slot = self.slot(now);
        let count = |word| {
            let second = current(word, now);
            Some(Second { requests: second.requests.saturating_add(1), ..second }.pack())
        };
        // Never fails, as there is always a new word.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    fn further_at(&self, now: u32) -> bool {
        let slot = self.slot(now);
        let mut word = slot.load(Ordering::Relaxed);
        loop {
            let second = current(word, now);
            if !self.allows(second, now) {
                return false;
            }
            let taken = Second { further: second.further.saturating_add(1), ..second }.pack();
            // Whoever was faster changed this second's word, so nobody takes what another one has taken.
            match slot.compare_exchange_weak(word, taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
    }

    fn allows(&self, current: Second, now: u32) -> bool {
        let (mut requests, mut further, mut lately) = (0_u64, 0_u64, 0_u64);
        let others = self.seconds.iter().map(|slot| Second::unpack(slot.load(Ordering::Relaxed)));
        for second in others.filter(|second| (1..WINDOW).contains(&second.age(now))).chain([current]) {
            requests += u64::from(second.requests);
            further += u64::from(second.further);
            if second.age(now) < MINIMUM_WINDOW {
                lately += u64::from(second.further);
            }
        }
        let share = requests.saturating_mul(self.share) / 1_000_000;
        further < share || lately < u64::from(self.minimum) * u64::from(MINIMUM_WINDOW)
    }

    fn slot(&self, second: u32) -> &AtomicU64 {
        &self.seconds[second as usize % SLOTS]
    }
}

/// The word's second if it is this one; otherwise this one, in which nothing has happened.
fn current(word: u64, now: u32) -> Second {
    let second = Second::unpack(word);
    if second.number == now { second } else { Second { number: now, ..Second::default() } }
}

/// The attempts of one request, in the order in which they are sent.
#[derive(Debug, Default)]
pub struct Attempts {
    /// What was asked last, and has failed.
    failed: Option<(Arc<Upstream>, Arc<RetryBudget>)>,
}

/// A further attempt that there may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not tried: `{provider}` fails more requests than may be tried again (`retries.budget`)")]
pub struct Withheld {
    /// Whose failure made it necessary.
    pub provider: Arc<str>,
}

impl Attempts {
    /// To be asked once for each attempt, before the pause that leads to it if there is one. The first of a request is
    /// always granted.
    pub fn begin(&mut self, target: &Target, now: Instant) -> Result<(), Withheld> {
        match &self.failed {
            None => target.retries.first(now),
            Some((_, budget)) if budget.further(now) => {}
            Some((upstream, _)) if upstream.name != target.upstream.name => {}
            Some((upstream, budget)) => {
                if budget.is_to_be_told(now) {
                    warn!(provider = %upstream.name, "its failures have used up `retries.budget`: requests are not tried again");
                }
                return Err(Withheld { provider: Arc::clone(&upstream.name) });
            }
        }
        self.failed = Some((Arc::clone(&target.upstream), Arc::clone(&target.retries)));
        Ok(())
    }

    /// What was asked last has answered: whatever is asked next, no failure has made it necessary.
    pub fn answered(&mut self) {
        self.failed = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(share: f64, minimum: u32) -> RetryBudget {
        RetryBudget::new(&config::Retries { budget: share, minimum })
    }

    #[test]
    fn a_tenth_of_the_requests() {
        let budget = budget(0.1, 0);
        for _ in 0..1_000 {
            budget.first_at(1);
        }
        assert_eq!((0..1_000).filter(|_| budget.further_at(2)).count(), 100);
        assert!(
            !budget.allows(current(0, 60), 60) && !budget.further_at(60),
            "the requests still count, and so do the attempts"
        );
        for _ in 0..100 {
            budget.first_at(61);
        }
        assert_eq!((0..100).filter(|_| budget.further_at(61)).count(), 0, "100 of 100 are taken");
        assert_eq!((0..100).filter(|_| budget.further_at(62)).count(), 10, "what was taken at 2 is a minute ago");
    }

    #[test]
    fn a_few_a_second_where_there_is_little_traffic() {
        let budget = budget(0.1, 3);
        assert_eq!((0..100).filter(|_| budget.further_at(1)).count(), 30, "3 a second of the last ten");
        assert!(!budget.further_at(10));
        assert_eq!((0..100).filter(|_| budget.further_at(11)).count(), 30);
    }

    #[test]
    fn no_budget_is_no_further_attempt() {
        let budget = budget(0.0, 0);
        budget.first_at(1);
        assert!(!budget.further_at(1));
    }

    #[test]
    fn seconds_are_told_apart_when_their_numbers_begin_anew() {
        let budget = budget(1.0, 0);
        budget.first_at(NUMBERS - 1);
        assert!(budget.further_at(0) && !budget.further_at(1));
    }

    #[test]
    fn no_two_threads_take_the_same() {
        let budget = budget(0.5, 0);
        for _ in 0..2_000 {
            budget.first_at(7);
        }
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| budget.further_at(7)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    proptest! {
        /// In every minute that ends with a further attempt there are no more of them than the share of its requests,
        /// or than the minimum allows; and whatever may be taken can be.
        #[test]
        fn there_are_never_more_than_promised(
            steps in proptest::collection::vec((0..20u32, 0..60u32, 0..40u32), 1..60),
            percent in 0..=100u32,
            minimum in 0..5u32,
        ) {
            let budget = budget(f64::from(percent) / 100.0, minimum);
            let mut now = 1;
            let mut seconds: Vec<(u32, u64, u64)> = Vec::new();
            for (wait, requests, asked) in steps {
                now += wait;
                (0..requests).for_each(|_| budget.first_at(now));
                seconds.push((now, u64::from(requests), 0));
                for _ in 0..asked {
                    let sum = |window: u32, of: fn(&(u32, u64, u64)) -> u64| -> u64 {
                        seconds.iter().filter(|second| now - second.0 < window).map(of).sum()
                    };
                    let share = sum(WINDOW, |second| second.1) * u64::from(percent) / 100;
                    let may = sum(WINDOW, |second| second.2) < share
                        || sum(MINIMUM_WINDOW, |second| second.2) < u64::from(minimum * MINIMUM_WINDOW);
                    prop_assert_eq!(budget.further_at(now), may);
                    seconds.last_mut().unwrap().2 += u64::from(may);
                }
            }
        }
    }
}
