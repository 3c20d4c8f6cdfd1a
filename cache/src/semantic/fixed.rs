//! Tables whose hash needs no secret.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

/// A map of what is in the binary, or of the few hundred words of a prompt: whoever chooses its keys so that they fall
/// together gains nothing by it.
pub(super) type FixedMap<K, V> = HashMap<K, V, FixedState>;

/// A set of words.
pub(super) type Words<'w> = HashSet<&'w str, FixedState>;

/// The words of a list, which stand between blanks.
pub(super) fn words(list: &'static str) -> Words<'static> {
    list.split_ascii_whitespace().collect()
}
