//! The trained table: trees over the features, and the curve that makes their mean a calibrated confidence.
//!
//! `forest.txt` is written by `cache/semantic/train/fit.py` and reads as it stands: `tree`, then one line a node,
//! `feature threshold left right` (to the left where the feature is at most the threshold) or `leaf value`; at the end
//! `curve` with the points of the calibration, `mean confidence`.

use std::sync::LazyLock;

use super::features::COUNT;

static FILE: &str = include_str!("forest.txt");
static FOREST: LazyLock<Forest> = LazyLock::new(|| Forest::read(FILE).unwrap_or_default());

#[derive(Debug)]
enum Node {
    Leaf(f32),
    Split { feature: usize, threshold: f32, left: usize, right: usize },
}

#[derive(Debug, Default)]
struct Forest {
    trees: Vec<Vec<Node>>,
    curve: Vec<(f32, f32)>,
}

/// The calibrated confidence of a row of features.
pub(super) fn confidence(features: &[f32; COUNT]) -> f32 {
    FOREST.calibrated(FOREST.mean(features))
}

impl Forest {
    /// `None` where the file is not what the script writes; a test holds that the one in the binary is.
    fn read(file: &str) -> Option<Self> {
        let mut forest = Self::default();
        let mut curve = false;
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            match fields.as_slice() {
                ["tree"] => forest.trees.push(Vec::new()),
                ["curve"] => curve = true,
                ["leaf", value] => forest.trees.last_mut()?.push(Node::Leaf(value.parse().ok()?)),
                [mean, confidence] if curve => forest.curve.push((mean.parse().ok()?, confidence.parse().ok()?)),
                [feature, threshold, left, right] => {
                    let feature = super::features::NAMES.iter().position(|name| name == feature)?;
                    let node = Node::Split {
                        feature,
                        threshold: threshold.parse().ok()?,
                        left: left.parse().ok()?,
                        right: right.parse().ok()?,
                    };
                    forest.trees.last_mut()?.push(node);
                }
                _ => return None,
            }
        }
        // A node only leads on to later ones, so that every walk ends.
        let sound = forest.trees.iter().all(|tree| {
            !tree.is_empty()
                && tree.iter().enumerate().all(|(at, node)| match node {
                    Node::Leaf(_) => true,
                    Node::Split { left, right, .. } => {
                        *left > at && *right > at && *left < tree.len() && *right < tree.len()
                    }
                })
        });
        (sound && !forest.trees.is_empty() && !forest.curve.is_empty()).then_some(forest)
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of some hundred trees")]
    fn mean(&self, features: &[f32; COUNT]) -> f32 {
        let sum: f32 = self.trees.iter().map(|tree| walk(tree, features)).sum();
        sum / self.trees.len().max(1) as f32
    }

    fn calibrated(&self, mean: f32) -> f32 {
        let Some(above) = self.curve.iter().position(|(at, _)| *at >= mean) else {
            return self.curve.last().map_or(0.0, |(_, confidence)| *confidence);
        };
        let (to, high) = self.curve[above];
        let Some(&(from, low)) = above.checked_sub(1).and_then(|below| self.curve.get(below)) else { return high };
        if to > from { low + (high - low) * (mean - from) / (to - from) } else { high }
    }
}

fn walk(tree: &[Node], features: &[f32; COUNT]) -> f32 {
    let mut at = 0;
    while let Some(node) = tree.get(at) {
        match node {
            Node::Leaf(value) => return *value,
            Node::Split { feature, threshold, left, right } => {
                at = if features[*feature] <= *threshold { *left } else { *right }
            }
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_binary_is_whole() {
        assert!(Forest::read(FILE).is_some());
    }
}
