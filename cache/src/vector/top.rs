//! The best candidates of a search so far.

use super::Candidate;

/// At most `k` candidates of a cosine of at least the floor, each id once, the best first.
#[derive(Debug)]
pub(super) struct Top {
    k: usize,
    floor: f32,
    best: Vec<Candidate>,
}

impl Top {
    pub(super) fn new(k: usize, floor: f32) -> Top {
        Top { k, floor, best: Vec::with_capacity(k) }
    }

    /// Whether a candidate of this cosine would have a place.
    pub(super) fn wants(&self, cosine: f32) -> bool {
        cosine >= self.floor
            && self.k > 0
            && (self.best.len() < self.k || self.best.last().is_some_and(|worst| cosine > worst.cosine))
    }

    /// Takes it, if it has a place.
    pub(super) fn offer(&mut self, candidate: Candidate) {
        if !self.wants(candidate.cosine) {
            return;
        }
        // An id that is being moved to another segment may be met in both.
        if let Some(known) = self.best.iter().position(|known| known.id == candidate.id) {
            if self.best[known].cosine >= candidate.cosine {
                return;
            }
            self.best.remove(known);
        }
        let place = self.best.partition_point(|other| other.cosine >= candidate.cosine);
        self.best.insert(place, candidate);
        self.best.truncate(self.k);
    }

    pub(super) fn into_candidates(self) -> Vec<Candidate> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: u8, cosine: f32) -> Candidate {
        Candidate { id: [id; 32].into(), cosine }
    }

    #[test]
    fn keeps_the_best_over_the_floor_each_id_once() {
        let mut top = Top::new(3, 0.5);
        for (id, cosine) in [(1, 0.6), (2, 0.4), (3, 0.9), (1, 0.7), (1, 0.65), (4, 0.5), (5, 0.8), (6, f32::NAN)] {
            top.offer(candidate(id, cosine));
        }
        assert_eq!(top.into_candidates(), [candidate(3, 0.9), candidate(5, 0.8), candidate(1, 0.7)]);
        let mut none = Top::new(0, 0.0);
        none.offer(candidate(1, 1.0));
        assert_eq!(none.into_candidates(), []);
    }
}
