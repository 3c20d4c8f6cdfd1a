//! How far one word is from another, counted in slips of the fingers.

/// Longer words are not compared.
const LONGEST: usize = 30;

/// Whether one word is the other mistyped: the same but for a letter or two swapped, lost, added or hit wrong, and at
/// most `most` such slips.
pub(crate) fn mistyped(a: &str, b: &str, most: usize) -> bool {
    if a.chars().next() != b.chars().next() {
        return false;
    }
    let (mut first, mut second) = (['\0'; LONGEST], ['\0'; LONGEST]);
    let (Some(x), Some(y)) = (letters(a, &mut first), letters(b, &mut second)) else { return false };
    let allowed = match x.len().min(y.len()) {
        0..=2 => return false,
        3..=6 => 1,
        _ => 2,
    };
    let allowed = most.min(allowed);
    x.len().abs_diff(y.len()) <= allowed && distance(x, y) <= allowed
}

/// Whether two neighbours changed places, and nothing else differs.
pub(super) fn is_swap(a: &str, b: &str) -> bool {
    let (x, y) = (a.as_bytes(), b.as_bytes());
    x.len() == y.len()
        && (0..x.len()).find(|&at| x[at] != y[at]).is_some_and(|at| {
            at + 1 < x.len() && x[at] == y[at + 1] && x[at + 1] == y[at] && x[at + 2..] == y[at + 2..]
        })
}

/// The word's characters, if they are all letters and not too many.
fn letters<'l>(word: &str, place: &'l mut [char; LONGEST]) -> Option<&'l [char]> {
    let mut length = 0;
    for letter in word.chars() {
        *place.get_mut(length).filter(|_| letter.is_alphabetic())? = letter;
        length += 1;
    }
    Some(&place[..length])
}

/// Damerau-Levenshtein (optimal string alignment), of which three rows are kept.
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut older, mut old, mut row) = ([0; LONGEST + 1], [0; LONGEST + 1], [0; LONGEST + 1]);
    for (j, cell) in old.iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (old[j] + 1).min(row[j - 1] + 1).min(old[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(older[j - 2] + 1);
            }
            row[j] = best;
        }
        (older, old, row) = (old, row, older);
    }
    old[b.len()]
}
