//! Unix seconds as people and programs read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// RFC 3339 in UTC; `None` for the ends of a window that has none.
pub fn rfc3339(unix_seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(unix_seconds).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(rfc3339(1_795_253_467).as_deref(), Some("2026-11-21T09:31:07Z"));
        assert_eq!((rfc3339(i64::MAX), rfc3339(i64::MIN)), (None, None));
    }
}
