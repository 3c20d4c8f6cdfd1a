//! The trained table: one weight a feature, a logistic curve over their sum, and the calibration of that curve.
//!
//! `weights.txt` is written by `cache/semantic/train/fit.py` and reads as it stands: `feature mean deviation weight` (the
//! weight of the feature once its mean is taken off and it is divided by its deviation), then `bias`, and `slope` and
//! `shift` of the calibration.

use std::sync::LazyLock;

use super::features::{COUNT, NAMES};

static FILE: &str = include_str!("weights.txt");
static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::read(FILE).unwrap_or_default());

/// Without a table everything is in doubt: all zeros but a shift far below any threshold.
#[derive(Debug)]
struct Weights {
    features: [(f32, f32, f32); COUNT],
    bias: f32,
    slope: f32,
    shift: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { features: [(0.0, 1.0, 0.0); COUNT], bias: 0.0, slope: 0.0, shift: -30.0 }
    }
}

/// The calibrated confidence of a row of features.
pub(super) fn confidence(features: &[f32; COUNT]) -> f32 {
    let table = &*WEIGHTS;
    let terms = features
        .iter()
        .zip(&table.features)
        .map(|(value, (mean, deviation, weight))| weight * (value - mean) / deviation);
    let sum = terms.sum::<f32>() + table.bias;
    1.0 / (1.0 + (-(table.slope * sum + table.shift)).exp())
}

impl Weights {
    /// `None` where the file is not what the script writes; a test holds that the one in the binary is.
    fn read(file: &str) -> Option<Self> {
        let mut table = Self::default();
        let mut seen = 0;
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let number = |at: usize| {
                fields.get(at).and_then(|field| field.parse::<f32>().ok()).filter(|value| value.is_finite())
            };
            match (fields.first().copied()?, fields.len()) {
                ("bias", 2) => table.bias = number(1)?,
                ("slope", 2) => table.slope = number(1)?,
                ("shift", 2) => table.shift = number(1)?,
                (name, 4) => {
                    let at = NAMES.iter().position(|known| *known == name)?;
                    table.features[at] = (number(1)?, number(2).filter(|deviation| *deviation > 0.0)?, number(3)?);
                    seen += 1;
                }
                _ => return None,
            }
        }
        (seen == COUNT).then_some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_binary_is_whole() {
        assert!(Weights::read(FILE).is_some());
    }

    #[test]
    fn without_a_table_nothing_is_served() {
        let table = Weights::default();
        assert!(1.0 / (1.0 + (-table.shift).exp()) < 1e-6);
        assert!(Weights::read("cosine 0 0 1").is_none());
    }
}
