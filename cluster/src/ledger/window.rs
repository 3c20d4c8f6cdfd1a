//! Windows: the stretches of time for which a limit holds, aligned with the calendar in UTC.
//!
//! Weeks start on Monday; months and years are those of the proleptic Gregorian calendar. As in POSIX time a day has
//! 86,400 seconds. Every window but `forever` begins with a whole minute.

use std::fmt;
use std::str::FromStr;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The Monday of the week in which unix time begins: 1 January 1970 was a Thursday.
const FIRST_MONDAY: i64 = -3 * DAY;

/// How long windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowKind {
    /// A minute.
    M1,
    /// Five minutes.
    M5,
    /// Fifteen minutes.
    M15,
    /// Thirty minutes.
    M30,
    /// An hour.
    H1,
    /// Six hours.
    H6,
    /// A day.
    D1,
    /// A week, from Monday.
    W1,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
    /// One window without a beginning or an end.
    Forever,
}

/// A window has no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a window: use one of 1m 5m 15m 30m 1h 6h 1d 1w 1M 1Y forever")]
pub struct UnknownWindow {
    /// What was given.
    pub text: String,
}

/// One window: from `start` to just before `end`, in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first second; `i64::MIN` when there is none.
    pub start: i64,
    /// The first second after it; `i64::MAX` when there is none.
    pub end: i64,
}

impl Span {
    /// True when this second is in the window.
    pub const fn contains(self, unix_seconds: i64) -> bool {
        self.start <= unix_seconds && unix_seconds < self.end
    }
}

impl WindowKind {
    /// All kinds, from short to long.
    pub const ALL: &[WindowKind] = &[
        WindowKind::M1,
        WindowKind::M5,
        WindowKind::M15,
        WindowKind::M30,
        WindowKind::H1,
        WindowKind::H6,
        WindowKind::D1,
        WindowKind::W1,
        WindowKind::Month,
        WindowKind::Year,
        WindowKind::Forever,
    ];

    /// Its name in configuration, metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            WindowKind::M1 => "1m",
            WindowKind::M5 => "5m",
            WindowKind::M15 => "15m",
            WindowKind::M30 => "30m",
            WindowKind::H1 => "1h",
            WindowKind::H6 => "6h",
            WindowKind::D1 => "1d",
            WindowKind::W1 => "1w",
            WindowKind::Month => "1M",
            WindowKind::Year => "1Y",
            WindowKind::Forever => "forever",
        }
    }

    /// The window of this kind that holds this second. At the ends of time, which no clock shows, it is cut short.
    pub fn span(self, unix_seconds: i64) -> Span {
        match self {
            WindowKind::M1 => fixed(unix_seconds, MINUTE, 0),
            WindowKind::M5 => fixed(unix_seconds, 5 * MINUTE, 0),
            WindowKind::M15 => fixed(unix_seconds, 15 * MINUTE, 0),
            WindowKind::M30 => fixed(unix_seconds, 30 * MINUTE, 0),
            WindowKind::H1 => fixed(unix_seconds, HOUR, 0),
            WindowKind::H6 => fixed(unix_seconds, 6 * HOUR, 0),
            WindowKind::D1 => fixed(unix_seconds, DAY, 0),
            WindowKind::W1 => fixed(unix_seconds, 7 * DAY, FIRST_MONDAY),
            WindowKind::Month => {
                let (year, month) = month_of(unix_seconds);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Span { start: first_second(year, month), end: first_second(next_year, next_month) }
            }
            WindowKind::Year => {
                let (year, _) = month_of(unix_seconds);
                Span { start: first_second(year, 1), end: first_second(year + 1, 1) }
            }
            WindowKind::Forever => Span { start: i64::MIN, end: i64::MAX },
        }
    }
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WindowKind {
    type Err = UnknownWindow;

    fn from_str(text: &str) -> Result<WindowKind, UnknownWindow> {
        // Case matters: 1m is a minute, 1M a month.
        let found = WindowKind::ALL.iter().find(|kind| kind.as_str() == text);
        found.copied().ok_or_else(|| UnknownWindow { text: text.to_owned() })
    }
}

fn fixed(unix_seconds: i64, length: i64, anchor: i64) -> Span {
    let into = (unix_seconds.rem_euclid(length) - anchor).rem_euclid(length);
    let start = unix_seconds.saturating_sub(into);
    Span { start, end: unix_seconds.saturating_add(length - into) }
}

/// Year and month of a second. The arithmetic is Howard Hinnant's `civil_from_days`, in which a year begins in March so
/// that the leap day is its last; days of all `i64` seconds are far from overflow.
fn month_of(unix_seconds: i64) -> (i64, i64) {
    let days = unix_seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month)
}

/// The first second of a month (`days_from_civil` for its first day).
fn first_second(year: i64, month: i64) -> i64 {
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468).saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_read_back_and_case_matters() {
        for &kind in WindowKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("1m".parse(), Ok(WindowKind::M1));
        assert_eq!("1M".parse(), Ok(WindowKind::Month));
        for bad in ["", "1", "60s", "1y", "1W", "Forever", " 1m", "2h"] {
            assert!(bad.parse::<WindowKind>().is_err(), "{bad:?}");
        }
    }

    /// Seconds and spans as `date -u -d @SECOND` and Python's `datetime` give them.
    #[test]
    fn spans_agree_with_a_calendar() {
        let table: &[(WindowKind, i64, i64, i64)] = &[
            // 2026-11-21T09:31:07Z, a Saturday
            (WindowKind::M1, 1_795_253_467, 1_795_253_460, 1_795_253_520),
            (WindowKind::M5, 1_795_253_467, 1_795_253_400, 1_795_253_700),
            (WindowKind::M15, 1_795_253_467, 1_795_253_400, 1_795_254_300),
            (WindowKind::M30, 1_795_253_467, 1_795_253_400, 1_795_255_200),
            (WindowKind::H1, 1_795_253_467, 1_795_251_600, 1_795_255_200),
            (WindowKind::H6, 1_795_253_467, 1_795_240_800, 1_795_262_400),
            (WindowKind::D1, 1_795_253_467, 1_795_219_200, 1_795_305_600),
            (WindowKind::W1, 1_795_253_467, 1_794_787_200, 1_795_392_000),
            (WindowKind::Month, 1_795_253_467, 1_793_491_200, 1_796_083_200),
            (WindowKind::Year, 1_795_253_467, 1_767_225_600, 1_798_761_600),
            // the beginning of unix time, a Thursday, and the second before it
            (WindowKind::W1, 0, -259_200, 345_600),
            (WindowKind::Month, 0, 0, 2_678_400),
            (WindowKind::Year, -1, -31_536_000, 0),
            (WindowKind::Month, -1, -2_678_400, 0),
            // February of a leap year, of 2100 (none) and of 2000 (one)
            (WindowKind::Month, 1_709_164_800, 1_706_745_600, 1_709_251_200),
            (WindowKind::Month, 4_105_209_600, 4_105_123_200, 4_107_542_400),
            (WindowKind::Month, 951_782_400, 949_363_200, 951_868_800),
            (WindowKind::Year, 951_782_400, 946_684_800, 978_307_200),
        ];
        for &(kind, second, start, end) in table {
            assert_eq!(kind.span(second), Span { start, end }, "{kind} of {second}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for &kind in WindowKind::ALL {
            for second in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                let span = kind.span(second);
                assert!(span.start <= second && second <= span.end, "{kind} of {second}: {span:?}");
            }
        }
    }

    proptest! {
        /// Windows of a kind lie side by side: each second is in exactly one, and all of one window agree on it.
        #[test]
        fn windows_tile_time(second in -100_000_000_000_i64..100_000_000_000, inside in 0.0..1.0_f64) {
            for &kind in WindowKind::ALL {
                let span = kind.span(second);
                prop_assert!(span.contains(second));
                if kind == WindowKind::Forever {
                    continue;
                }
                prop_assert_eq!(span.start.rem_euclid(MINUTE), 0);
                let within = span.start + ((span.end - span.start - 1) as f64 * inside) as i64;
                prop_assert_eq!(kind.span(within), span);
                prop_assert_eq!(kind.span(span.end).start, span.end);
                prop_assert_eq!(kind.span(span.start - 1).end, span.start);
            }
        }

        /// Month lengths by the rule everybody knows, independent of the arithmetic above.
        #[test]
        fn months_are_as_long_as_they_are(second in -100_000_000_000_i64..100_000_000_000) {
            let (year, month) = month_of(second);
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let days = match month {
                4 | 6 | 9 | 11 => 30,
                2 => 28 + i64::from(leap),
                _ => 31,
            };
            let span = WindowKind::Month.span(second);
            prop_assert_eq!(span.end - span.start, days * DAY);
            let year_span = WindowKind::Year.span(second);
            prop_assert_eq!(year_span.end - year_span.start, (365 + i64::from(leap)) * DAY);
            prop_assert!(WindowKind::W1.span(second).start.div_euclid(DAY).rem_euclid(7) == 4, "1970-01-05 was a Monday");
        }
    }
}
