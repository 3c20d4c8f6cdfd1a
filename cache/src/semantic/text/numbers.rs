//! Numbers in one notation: `1,000`, `1k` and `one thousand` are the same number, `17:30` and `half past five` the same time.

use std::sync::LazyLock;

use crate::semantic::fixed::FixedMap;

/// The value of a token of digits in one notation: no thousands commas, no trailing zeros, times within twelve hours.
pub(super) fn canonical(digits: &str) -> String {
    let plain: String = digits.chars().filter(|&c| c != ',').collect();
    if let Some((hour, minute)) = plain.split_once(':') {
        let hour = hour.parse::<u32>().ok().filter(|hour| *hour <= 24);
        return match (hour, minute) {
            (Some(hour), "00") => (if hour > 12 { hour - 12 } else { hour }).to_string(),
            (Some(hour), _) => format!("{}:{minute}", if hour > 12 { hour - 12 } else { hour }),
            (None, _) => plain,
        };
    }
    if plain.matches('.').count() > 1 || plain.len() > 15 {
        return plain;
    }
    if plain.contains('.') {
        return plain.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    if plain.len() > 1 && plain.starts_with('0') {
        plain
    } else {
        plain.parse::<u64>().map_or(plain, |n| n.to_string())
    }
}

/// What a number word adds to the number that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Below a hundred: adds.
    Add(u64),
    /// hundred, thousand, million, dozen: multiplies.
    Times(u64),
}

pub(super) fn part(word: &str) -> Option<Part> {
    const SMALL: &[&str] = &[
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const ORDINALS: &[&str] = &[
        "",
        "",
        "",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
    ];
    const TENS: &[&str] = &["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    const TENTHS: &[&str] =
        &["", "", "twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"];
    const FACTORS: &[(&str, u64)] =
        &[("dozen", 12), ("hundred", 100), ("thousand", 1_000), ("million", 1_000_000), ("billion", 1_000_000_000)];
    static PARTS: LazyLock<FixedMap<&str, Part>> = LazyLock::new(|| {
        let listed = |list: &'static [&'static str], factor| {
            list.iter().zip(0_u64..).map(move |(word, place)| (*word, Part::Add(place * factor)))
        };
        let added = listed(SMALL, 1).chain(listed(ORDINALS, 1)).chain(listed(TENS, 10)).chain(listed(TENTHS, 10));
        let times = FACTORS.iter().map(|&(word, factor)| (word, Part::Times(factor)));
        added.chain(times).filter(|(word, _)| !word.is_empty()).collect()
    });
    PARTS.get(word).copied()
}

/// Reads number words from the start of `words`; how many it took, and the number.
pub(super) fn spelled(words: &[&str]) -> Option<(usize, u64)> {
    let (mut total, mut group, mut taken): (u64, u64, usize) = (0, 0, 0);
    let mut last = None;
    while let Some(word) = words.get(taken) {
        let joins = *word == "and"
            && taken > 0
            && matches!(last, Some(Part::Times(_)))
            && words.get(taken + 1).is_some_and(|next| part(next).is_some());
        if joins {
            taken += 1;
            continue;
        }
        let Some(next) = part(word) else { break };
        match (last, next) {
            (Some(Part::Add(before)), Part::Add(value)) if !(before >= 20 && before % 10 == 0 && value < 10) => break,
            (_, Part::Add(value)) => group += value,
            (_, Part::Times(factor @ (12 | 100))) => group = group.max(1).saturating_mul(factor),
            (_, Part::Times(factor)) => {
                total = total.saturating_add(group.max(1).saturating_mul(factor));
                group = 0;
            }
        }
        last = Some(next);
        taken += 1;
    }
    (taken > 0).then(|| (taken, total.saturating_add(group)))
}

/// The name of a month by its number.
pub(super) fn month(number: u32) -> Option<&'static str> {
    const MONTHS: &[&str] = &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    MONTHS.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}
