//! Vectors of texts: each word pushes some dimensions, so texts with words in common are near each other, and the same
//! text has the same vector everywhere. Also how embeddings are counted: a token for every 4 bytes of a text begun.

use std::hash::{DefaultHasher, Hasher};

/// Dimensions where the client does not ask for a number of them.
pub(crate) const DIMENSIONS: usize = 64;
const MOST_DIMENSIONS: usize = 4_096;
/// Dimensions that one word pushes.
const SPREAD: u64 = 8;

/// A unit vector.
pub(crate) fn vector(text: &str, dimensions: Option<u64>) -> Vec<f32> {
    let dimensions = dimensions.map_or(DIMENSIONS, |asked| usize::try_from(asked).unwrap_or(MOST_DIMENSIONS));
    let dimensions = dimensions.clamp(1, MOST_DIMENSIONS);
    let mut vector = vec![0.0_f32; dimensions];
    // A direction that all texts share keeps the empty one from having no length.
    vector[0] = 0.25;
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        for number in 0..SPREAD {
            let mut hasher = DefaultHasher::new();
            hasher.write(word.to_lowercase().as_bytes());
            hasher.write_u64(number);
            let bits = hasher.finish();
            let at = (bits >> 1) as usize % dimensions;
            vector[at] += if bits & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}

/// How near two texts are, 0 to 1.
pub(crate) fn similarity(first: &str, second: &str) -> f64 {
    let (first, second) = (vector(first, None), vector(second, None));
    let product: f32 = first.iter().zip(&second).map(|(first, second)| first * second).sum();
    f64::from(product.clamp(0.0, 1.0))
}

pub(crate) fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_texts_are_near() {
        assert!((similarity("the red house", "The red house!") - 1.0).abs() < 1e-5);
        assert!(similarity("the red house", "the red boat") > similarity("the red house", "nothing alike here"));
        assert_eq!((vector("", Some(3)).len(), vector("a", None).len()), (3, DIMENSIONS));
    }
}
