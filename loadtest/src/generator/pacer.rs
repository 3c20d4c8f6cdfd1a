//! Sleeps until an exact moment, without spinning.
//!
//! The runtime's own timers have a grain of one millisecond, which would blur what is
//! measured; a timerfd wakes the event loop to some ten microseconds. What is due when
//! the thread wakes is sent at once, and its lateness stays in the figures, since
//! latency counts from when a request was due.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of one thread.
#[derive(Debug)]
pub(super) struct Pacer(AsyncFd<OwnedFd>);

impl Pacer {
    /// Must be called inside the thread's runtime.
    pub(super) fn new() -> io::Result<Pacer> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "the successor is `unsafe`; an OwnedFd has the I/O safety that the old one does not demand"
        )]
        let registered = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Pacer(registered))
    }

    /// Waits until `moment`; lets other tasks run once even if it has passed.
    pub(super) async fn until(&self, moment: Instant) -> io::Result<()> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: nanos(wait) };
        // Setting a timer also forgets an expiry that nobody read.
        timerfd_settime(
            self.0.get_ref(),
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: zero, it_value: value },
        )?;
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

fn nanos(wait: Duration) -> i64 {
    i64::from(wait.subsec_nanos())
}
