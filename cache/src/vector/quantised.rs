//! A vector in bytes: a coarse part that is searched and a fine part that is read for the best only.
//!
//! With the scale `s`, the greatest magnitude over 127, a component is `s * (coarse + fine / 254)`, both of them
//! bytes. The coarse part alone is off by at most `s / 2` a component, which [`Query::bound`] turns into a bound on
//! the cosine; both together are as good as 16 bits and miss the cosine by some 1e-5. Two bytes a component therefore
//! do the work for which a byte and a float would take five.

use super::VectorError;
use super::kernel::{FINE, dot, dot_exact};

const COARSE: f32 = 127.0;

/// What rounding adds to the bound: the fine part's own error, and that of sums of floats.
const SLACK: f32 = 1e-4;

/// One vector of length one, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantised {
    pub(super) coarse: Vec<i8>,
    pub(super) fine: Vec<i8>,
    /// The size of a coarse unit.
    pub(super) scale: f32,
    /// How far the coarse part alone is from the vector, as a length.
    pub(super) error: f32,
}

impl Quantised {
    /// Brings the vector to length one and into bytes.
    pub(super) fn new(vector: &[f32]) -> Result<Quantised, VectorError> {
        Ok(Quantised::of_unit(&unit(vector)?))
    }

    fn of_unit(unit: &[f32]) -> Quantised {
        let greatest = unit.iter().fold(0_f32, |greatest, value| greatest.max(value.abs()));
        let scale = greatest / COARSE;
        let mut error = 0_f32;
        let (mut coarse, mut fine) = (Vec::with_capacity(unit.len()), Vec::with_capacity(unit.len()));
        for value in unit {
            let steps = value / scale;
            let whole = steps.round();
            let rest = steps - whole;
            error += rest * rest;
            coarse.push(whole as i8);
            fine.push((rest * FINE).round() as i8);
        }
        Quantised { coarse, fine, scale, error: error.sqrt() * scale }
    }

    /// A vector that another node has quantised; refused when its numbers are not those of one.
    pub(super) fn received(coarse: Vec<i8>, fine: Vec<i8>, scale: f32) -> Result<Quantised, VectorError> {
        let parts = coarse.iter().zip(&fine);
        let values: Vec<f32> =
            parts.map(|(coarse, fine)| scale * (f32::from(*coarse) + f32::from(*fine) / FINE)).collect();
        let length = length(&values)?;
        if coarse.len() != fine.len() || (length - 1.0).abs() > 1e-2 {
            return Err(VectorError::NoDirection);
        }
        let error = scale * fine.iter().map(|fine| (f32::from(*fine) / FINE).powi(2)).sum::<f32>().sqrt();
        Ok(Quantised { coarse, fine, scale, error })
    }
}

/// What is searched for: the vector itself beside its coarse form.
#[derive(Debug)]
pub(super) struct Query {
    exact: Vec<f32>,
    quantised: Quantised,
}

impl Query {
    pub(super) fn new(vector: &[f32]) -> Result<Query, VectorError> {
        let exact = unit(vector)?;
        let quantised = Quantised::of_unit(&exact);
        Ok(Query { exact, quantised })
    }

    pub(super) fn coarse(&self) -> (&[i8], f32) {
        (&self.quantised.coarse, self.quantised.scale)
    }

    /// The most that the cosine with a row can be, by its coarse part alone.
    pub(super) fn bound(&self, coarse: &[i8], scale: f32, error: f32) -> f32 {
        let about = dot(&self.quantised.coarse, coarse) as f32 * self.quantised.scale * scale;
        about + error + self.quantised.error * (1.0 + error) + SLACK
    }

    /// The cosine with a row.
    pub(super) fn cosine(&self, coarse: &[i8], fine: &[i8], scale: f32) -> f32 {
        dot_exact(&self.exact, coarse, fine) * scale
    }
}

fn length(vector: &[f32]) -> Result<f32, VectorError> {
    let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    let length = squares.sqrt() as f32;
    if length.is_finite() && length > f32::MIN_POSITIVE { Ok(length) } else { Err(VectorError::NoDirection) }
}

fn unit(vector: &[f32]) -> Result<Vec<f32>, VectorError> {
    let length = length(vector)?;
    Ok(vector.iter().map(|value| value / length).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_direction_is_refused() {
        for vector in [vec![], vec![0.0; 8], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![f32::MAX; 4]] {
            let refused = Quantised::new(&vector);
            assert!(refused == Err(VectorError::NoDirection) || vector == [f32::MAX; 4], "{vector:?}");
        }
        assert!(Quantised::received(vec![127; 4], vec![0; 4], 0.5).is_err(), "not of length one");
        assert!(Quantised::received(vec![127; 4], vec![0; 3], 0.5 / 127.0).is_err(), "parts of two lengths");
        assert!(Quantised::received(vec![127; 4], vec![0; 4], f32::NAN).is_err());
    }

    #[test]
    fn what_was_sent_is_what_was_kept() {
        let kept = Quantised::new(&[0.3, -0.7, 0.01, 0.2, 0.9]).unwrap();
        let received = Quantised::received(kept.coarse.clone(), kept.fine.clone(), kept.scale).unwrap();
        assert!((received.error - kept.error).abs() < 1e-4);
        assert_eq!((received.coarse, received.fine), (kept.coarse, kept.fine));
    }

    proptest! {
        #[test]
        fn the_cosine_is_right_and_the_bound_is_never_under_it(
            pair in (1..400_usize).prop_flat_map(|len| {
                let vector = || proptest::collection::vec(-1.0..1.0_f32, len);
                (vector(), vector())
            }),
            alike in 0.0..1.0_f32,
        ) {
            let (one, other) = pair;
            let other: Vec<f32> = one.iter().zip(&other).map(|(a, b)| alike * a + (1.0 - alike) * b).collect();
            let (Ok(query), Ok(row)) = (Query::new(&one), Quantised::new(&other)) else { return Ok(()) };
            let (a, b) = (unit(&one).unwrap(), unit(&other).unwrap());
            let wanted: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let cosine = query.cosine(&row.coarse, &row.fine, row.scale);
            prop_assert!((f64::from(cosine) - wanted).abs() < 5e-5, "{} {}", cosine, wanted);
            prop_assert!(query.bound(&row.coarse, row.scale, row.error) >= cosine);
        }
    }
}
