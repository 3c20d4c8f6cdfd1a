//! Money: whole billionths of a US dollar. Never a float, and never less after an addition than before it.

use std::fmt;
use std::str::FromStr;

const NANO: u64 = 1_000_000_000;
/// A nano-dollar is the smallest sum there is.
const DECIMALS: usize = 9;

/// A sum in nano-USD, from 0 to about 18.4 billion dollars.
///
/// ```
/// use peerway::governance::NanoUsd;
/// let sum: NanoUsd = "10.00".parse()?;
/// assert_eq!((sum.get(), sum.to_string().as_str()), (10_000_000_000, "10"));
/// # Ok::<(), peerway::governance::MoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("not a sum of dollars")]
    Form,
    #[error("finer than a billionth of a dollar, the smallest sum")]
    TooFine,
    #[error("more than {}, the largest sum of dollars", NanoUsd::MAX)]
    TooLarge,
}

impl MoneyError {
    /// What to write instead.
    pub fn hint(self) -> &'static str {
        "write digits with at most 9 decimals in quotes, e.g. \"10.00\""
    }
}

impl NanoUsd {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);

    pub const fn new(nano: u64) -> Self {
        Self(nano)
    }

    /// In nano-USD.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    pub const fn checked_mul(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl FromStr for NanoUsd {
    type Err = MoneyError;

    /// Plain decimal digits: no sign, no exponent, no separators, digits on both sides of a point.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) {
            return Err(MoneyError::Form);
        }
        if decimals.len() > DECIMALS {
            return Err(MoneyError::TooFine);
        }
        // Only digits are left, so the one way to fail is to be too large.
        let whole: u64 = whole.parse().map_err(|_| MoneyError::TooLarge)?;
        let fraction = decimals.bytes().chain(std::iter::repeat(b'0')).take(DECIMALS);
        let fraction = fraction.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let nano = whole.checked_mul(NANO).and_then(|nano| nano.checked_add(fraction));
        nano.map(Self).ok_or(MoneyError::TooLarge)
    }
}

/// Decimal dollars, exact, without the zeros that say nothing.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / NANO, self.0 % NANO);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let (mut decimals, mut rest) = ([b'0'; 9], fraction);
        for decimal in decimals.iter_mut().rev() {
            *decimal += (rest % 10) as u8;
            rest /= 10;
        }
        // Digits are ASCII.
        let decimals = std::str::from_utf8(&decimals).unwrap_or_default().trim_end_matches('0');
        write!(f, "{whole}.{decimals}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, nano) in [
            ("0", 0),
            ("10", 10 * NANO),
            ("10.00", 10 * NANO),
            ("0.000000001", 1),
            ("0.1", 100_000_000),
            ("00.30", 300_000_000),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(NanoUsd(nano)), "{text}");
        }
        for (text, error) in [
            ("", MoneyError::Form),
            (".", MoneyError::Form),
            ("1.", MoneyError::Form),
            (".5", MoneyError::Form),
            ("-1", MoneyError::Form),
            ("+1", MoneyError::Form),
            ("1e3", MoneyError::Form),
            ("1,000", MoneyError::Form),
            ("$5", MoneyError::Form),
            (" 5", MoneyError::Form),
            ("1.2.3", MoneyError::Form),
            ("५", MoneyError::Form),
            ("NaN", MoneyError::Form),
            ("inf", MoneyError::Form),
            ("0.0000000001", MoneyError::TooFine),
            ("18446744073.709551616", MoneyError::TooLarge),
            ("18446744074", MoneyError::TooLarge),
            ("99999999999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<NanoUsd>(), Err(error), "{text}");
        }
        assert!(MoneyError::TooLarge.to_string().contains("18446744073.709551615"));
    }

    #[test]
    fn arithmetic_never_wraps() {
        let one = NanoUsd(1);
        assert_eq!(NanoUsd::MAX.checked_add(one), None);
        assert_eq!(NanoUsd::ZERO.checked_sub(one), None);
        assert_eq!(NanoUsd::MAX.checked_mul(2), None);
        assert_eq!(NanoUsd::MAX.saturating_add(one), NanoUsd::MAX);
        assert_eq!(one.checked_add(one).and_then(|two| two.checked_mul(3)), Some(NanoUsd(6)));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(nano in any::<u64>()) {
            prop_assert_eq!(NanoUsd(nano).to_string().parse(), Ok(NanoUsd(nano)));
        }

        /// Against arithmetic in a wider type.
        #[test]
        fn every_decimal_is_exact(whole in 0..=u64::MAX, decimals in "[0-9]{1,9}") {
            let expected = u128::from(whole) * u128::from(NANO)
                + decimals.parse::<u128>().unwrap() * 10_u128.pow(9 - decimals.len() as u32);
            let read = format!("{whole}.{decimals}").parse::<NanoUsd>();
            prop_assert_eq!(read.ok().map(|sum| u128::from(sum.get())), u64::try_from(expected).ok().map(u128::from));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = text.parse::<NanoUsd>();
        }
    }
}
