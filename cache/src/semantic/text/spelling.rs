//! How far one word is from another, counted in slips of the fingers.

/// Whether one word is the other mistyped: the same but for a letter or two swapped, lost, added or hit wrong.
pub(crate) fn mistyped(a: &str, b: &str) -> bool {
    let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let allowed = match x.len().min(y.len()) {
        0..=2 => return false,
        3..=6 => 1,
        _ => 2,
    };
    let letters = |word: &[char]| word.len() <= 30 && word.iter().all(|c| c.is_alphabetic());
    x.len().abs_diff(y.len()) <= allowed
        && letters(&x)
        && letters(&y)
        && x.first() == y.first()
        && distance(&x, &y) <= allowed
}

/// Damerau-Levenshtein (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
