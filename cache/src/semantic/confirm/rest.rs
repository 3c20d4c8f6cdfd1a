//! Who fails is left alone for a while: a look-up that waits in vain helps nobody.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(30);

/// Rests a second after a failure, and twice as long each time up to half a minute.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Trouble>>);

#[derive(Clone, Copy, Debug)]
struct Trouble {
    pause: Duration,
    until: Instant,
}

impl Rest {
    pub(super) fn is_over(&self) -> bool {
        self.trouble().is_none_or(|trouble| Instant::now() >= trouble.until)
    }

    pub(super) fn well(&self) {
        *self.trouble() = None;
    }

    pub(super) fn failed(&self) {
        let mut trouble = self.trouble();
        let now = Instant::now();
        // Calls that fail together count once.
        let pause = match *trouble {
            Some(last) if now < last.until => return,
            Some(last) => (last.pause * 2).min(LAST),
            None => FIRST,
        };
        *trouble = Some(Trouble { pause, until: now + pause });
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rests_longer_each_time_and_starts_over_when_well() {
        let rest = Rest::default();
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(rest.is_over());
            rest.failed();
            rest.failed();
            tokio::time::advance(Duration::from_secs(pause) - Duration::from_millis(1)).await;
            assert!(!rest.is_over(), "{pause} s");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        rest.well();
        rest.failed();
        tokio::time::advance(FIRST).await;
        assert!(rest.is_over());
    }
}
