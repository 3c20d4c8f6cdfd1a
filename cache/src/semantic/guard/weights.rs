//! The trained tables: one weight a feature, a logistic curve over their sum, and the calibration of that curve.
//!
//! The files are written by `cache/semantic/train/fit.py` and read as they stand: `feature mean deviation weight` (the
//! weight of the feature once its mean is taken off and it is divided by its deviation), then `bias`, and `slope` and
//! `shift` of the calibration.

use std::sync::LazyLock;

use super::features::{COUNT, FOUND, FOUND_COUNT, NAMES};

static FILE: &str = include_str!("weights.txt");
static FOUND_FILE: &str = include_str!("weights_minilm.txt");
static WEIGHTS: LazyLock<Weights<COUNT>> = LazyLock::new(|| Weights::read(FILE, &NAMES).unwrap_or_default());
static FOUND_WEIGHTS: LazyLock<Weights<FOUND_COUNT>> =
    LazyLock::new(|| Weights::read(FOUND_FILE, &found_names()).unwrap_or_default());

/// Without a table everything is in doubt: all zeros but a shift far below any threshold.
#[derive(Debug)]
struct Weights<const N: usize> {
    features: [(f32, f32, f32); N],
    bias: f32,
    slope: f32,
    shift: f32,
}

impl<const N: usize> Default for Weights<N> {
    fn default() -> Self {
        Self { features: [(0.0, 1.0, 0.0); N], bias: 0.0, slope: 0.0, shift: -30.0 }
    }
}

/// The names of the features, with those of a candidate that all-MiniLM-L6-v2 found.
pub(super) fn found_names() -> [&'static str; FOUND_COUNT] {
    std::array::from_fn(|at| if at < COUNT { NAMES[at] } else { FOUND[at - COUNT] })
}

/// The calibrated confidence of a row of features.
pub(super) fn confidence(features: &[f32; COUNT]) -> f32 {
    WEIGHTS.confidence(features)
}

/// The same of a candidate that all-MiniLM-L6-v2 found.
pub(super) fn confidence_of_found(features: &[f32; FOUND_COUNT]) -> f32 {
    FOUND_WEIGHTS.confidence(features)
}

impl<const N: usize> Weights<N> {
    fn confidence(&self, features: &[f32; N]) -> f32 {
        let terms = features
            .iter()
            .zip(&self.features)
            .map(|(value, (mean, deviation, weight))| weight * (value - mean) / deviation);
        let sum = terms.sum::<f32>() + self.bias;
        1.0 / (1.0 + (-(self.slope * sum + self.shift)).exp())
    }

    /// `None` where the file is not what the script writes; a test holds that those in the binary are.
    fn read(file: &str, names: &[&str; N]) -> Option<Self> {
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
                    let at = names.iter().position(|known| *known == name)?;
                    table.features[at] = (number(1)?, number(2).filter(|deviation| *deviation > 0.0)?, number(3)?);
                    seen += 1;
                }
                _ => return None,
            }
        }
        (seen == N).then_some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_in_the_binary_are_whole() {
        assert!(Weights::read(FILE, &NAMES).is_some());
        assert!(Weights::read(FOUND_FILE, &found_names()).is_some());
    }

    #[test]
    fn without_a_table_nothing_is_served() {
        let table = Weights::<COUNT>::default();
        assert!(1.0 / (1.0 + (-table.shift).exp()) < 1e-6);
        assert!(Weights::read("cosine 0 0 1", &NAMES).is_none());
    }
}
