//! Whether an upstream's stream crawls: by the tokens that came in the time that was spent waiting for it. A client that
//! reads slowly is not the provider's fault, so its time does not count.

use std::time::Duration;

use tokio::time::Instant;

/// How much waiting is judged at once: shorter pauses are a model's way of writing.
const WINDOW: Duration = Duration::from_secs(10);
/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// The pace of one stream.
#[derive(Debug)]
pub(super) struct Pace {
    /// Tokens a second.
    least: f64,
    waits_since: Option<Instant>,
    waited: Duration,
    tokens_before: u64,
}

impl Pace {
    pub(super) fn new(least: f64) -> Self {
        Self { least, waits_since: None, waited: Duration::ZERO, tokens_before: 0 }
    }

    /// The upstream is being waited for.
    pub(super) fn waits(&mut self) {
        self.waits_since.get_or_insert_with(Instant::now);
    }

    /// Something has come.
    pub(super) fn came(&mut self, now: Instant) {
        if let Some(since) = self.waits_since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }

    /// Whether too little came in the time that was spent waiting; `tokens` have come in all.
    pub(super) fn crawls(&mut self, now: Instant, tokens: u64) -> bool {
        self.came(now);
        self.waits_since = Some(now);
        if self.waited < WINDOW {
            return false;
        }
        let pace = tokens.saturating_sub(self.tokens_before) as f64 / self.waited.as_secs_f64();
        (self.waited, self.tokens_before) = (Duration::ZERO, tokens);
        pace < self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for so many seconds with so many tokens in each.
    fn crawls(pace: &mut Pace, now: &mut Instant, tokens: &mut u64, seconds: u64, each: u64) -> bool {
        (0..seconds).any(|_| {
            *now += Duration::from_secs(1);
            *tokens += each;
            pace.came(*now);
            pace.crawls(*now, *tokens)
        })
    }

    #[test]
    fn only_what_is_slower_for_a_whole_window_crawls() {
        let (mut now, mut tokens) = (Instant::now(), 0);
        let mut pace = Pace::new(5.0);
        assert!(!pace.crawls(now, 0));
        assert!(!crawls(&mut pace, &mut now, &mut tokens, 60, 6));
        assert!(!crawls(&mut pace, &mut now, &mut tokens, 8, 1), "a pause");
        assert!(!crawls(&mut pace, &mut now, &mut tokens, 2, 25));
        assert!(crawls(&mut pace, &mut now, &mut tokens, 21, 4));
    }

    #[test]
    fn the_clients_time_does_not_count() {
        let now = Instant::now();
        let mut pace = Pace::new(5.0);
        pace.waits();
        pace.came(now + Duration::from_secs(1));
        assert!(!pace.crawls(now + Duration::from_secs(3_600), 1), "nobody waited for the provider");
    }
}
