//! Which words there are: a filter over all words of WordNet, as `cache/semantic/train/words.py` writes it.

static BITS: &[u8] = include_bytes!("words.bin");
const HASHES: u64 = 7;

/// Whether there is such a word, in the form in which a dictionary has it or with a common ending. Of words that there
/// are not, one of some hundred passes for one.
pub(super) fn is_word(word: &str) -> bool {
    const ENDINGS: &[(&str, &str)] = &[
        ("ies", "y"),
        ("ied", "y"),
        ("s", ""),
        ("es", ""),
        ("ed", ""),
        ("d", ""),
        ("ing", ""),
        ("ing", "e"),
        ("er", ""),
        ("r", ""),
        ("est", ""),
        ("ly", ""),
        ("ness", ""),
    ];
    let is_form = |(ending, base): &(&str, &str)| {
        word.strip_suffix(ending).filter(|stem| stem.len() > 2).is_some_and(|stem| {
            let bytes = stem.as_bytes();
            let is_doubled = bytes[bytes.len() - 1] == bytes[bytes.len() - 2];
            has(stem, base) || (is_doubled && stem.len() > 3 && has(&stem[..stem.len() - 1], base))
        })
    };
    word.is_ascii() && (has(word, "") || ENDINGS.iter().any(is_form))
}

/// Whether the filter has the word that these two parts make.
fn has(stem: &str, ending: &str) -> bool {
    let hash = stem
        .bytes()
        .chain(ending.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| (hash ^ u64::from(letter)).wrapping_mul(0x0100_0000_01b3));
    let (first, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    let bits = BITS.len() as u64 * 8;
    (0..HASHES).all(|turn| {
        let bit = (first + turn * step) % bits;
        usize::try_from(bit / 8).is_ok_and(|byte| BITS.get(byte).is_some_and(|byte| byte & (1 << (bit % 8)) != 0))
    })
}

#[cfg(test)]
mod tests {
    use super::is_word;

    #[test]
    fn words_are_known_in_their_forms_and_slips_are_not() {
        for word in ["nitrite", "debit", "recursion", "warranty", "crispy", "radians", "stopping", "children"] {
            assert!(is_word(word), "{word}");
        }
        for slip in ["pyhton", "temprature", "circumfrence", "explian", "waht", "resignaton"] {
            assert!(!is_word(slip), "{slip}");
        }
    }
}
