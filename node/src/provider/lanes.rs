//! Several HTTP/2 connections to one provider.
//!
//! A connection carries as many requests at once as the server says, mostly a hundred; what is beyond that waits in line
//! behind streams that take minutes. So requests go to the first connection that has room, and a further one is opened
//! when none has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests at once on a connection; servers allow 100 and more.
const ROOM: usize = 80;
/// A thread's connections to a provider: room for 1,280 requests at once before any waits.
pub(super) const MOST: usize = 16;

/// Things of which each has room for so many requests.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    lanes: Vec<(T, Arc<AtomicUsize>)>,
}

/// A request's place; dropped with the answer's body.
#[derive(Debug)]
pub(super) struct Seat(Arc<AtomicUsize>);

impl<T> Lanes<T> {
    /// `make` makes one; `most` is at least one.
    pub(super) fn new(most: usize, make: impl FnMut() -> T) -> Self {
        Self { lanes: std::iter::repeat_with(make).take(most.max(1)).map(|lane| (lane, Arc::default())).collect() }
    }

    /// A place on the first that has room, else on the one with the fewest.
    pub(super) fn take(&self) -> (&T, Seat) {
        let load = |lane: &&(T, Arc<AtomicUsize>)| lane.1.load(Ordering::Relaxed);
        let free = self.lanes.iter().find(|lane| load(lane) < ROOM);
        // There is at least one.
        let (lane, count) = free.or_else(|| self.lanes.iter().min_by_key(load)).unwrap_or(&self.lanes[0]);
        count.fetch_add(1, Ordering::Relaxed);
        (lane, Seat(Arc::clone(count)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_filled_before_the_next_is_opened() {
        let mut number = 0;
        let lanes = Lanes::new(3, || {
            number += 1;
            number
        });
        let mut seats = Vec::new();
        let mut taken = [0; 3];
        for _ in 0..3 * ROOM + 6 {
            let (lane, seat) = lanes.take();
            taken[lane - 1] += 1;
            seats.push(seat);
            assert!(taken[0] >= ROOM || taken[1] == 0, "{taken:?}");
        }
        assert_eq!(taken, [ROOM + 2; 3]);
        drop(seats);
        assert_eq!(*lanes.take().0, 1, "places are given back");
    }
}
