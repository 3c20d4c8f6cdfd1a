//! Surgical edits of a body: places and what stands there instead, everything else byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

/// Edits of one body.
#[derive(Debug, Default)]
pub(super) struct Edits<'a>(Vec<(Range<usize>, Cow<'a, [u8]>)>);

impl<'a> Edits<'a> {
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<Cow<'a, [u8]>>) {
        self.0.push((range, text.into()));
    }

    pub(super) fn insert(&mut self, at: usize, text: impl Into<Cow<'a, [u8]>>) {
        self.replace(at..at, text);
    }

    /// Edits do not overlap. Without one the body itself is returned, uncopied.
    pub(super) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        // Where a piece is taken out, what is put in there comes first.
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let growth: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(body.len() + growth);
        let mut from = 0;
        for (range, text) in self.0 {
            edited.extend_from_slice(&body[from..range.start]);
            edited.extend_from_slice(&text);
            from = range.end;
        }
        edited.extend_from_slice(&body[from..]);
        Bytes::from(edited)
    }
}
