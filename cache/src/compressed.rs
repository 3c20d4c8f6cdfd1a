//! Large answers as they are kept and sent: compressed, where that pays.
//!
//! A stream says the same around each of its words, and shrinks to a twentieth; prose to two thirds. LZ4 and not a denser
//! way, because an answer is compressed once, beside the request's way, and opened by every request that it serves.

use std::borrow::Cow;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use bytes::Bytes;

use crate::config::MAX_ENTRY;
use crate::entry::{Recorded, RecordedEvent};

/// Answers of less memory are kept as they are: opening one would take longer than its bytes are worth.
const LARGE: usize = 8 * 1024;
/// At least one in so many bytes must be saved.
const LEAST_SAVED: usize = 5;
/// No compressed byte stands for more bytes than this.
const MOST_EXPANSION: usize = 255;

/// An answer, compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    form: Form,
    /// The bytes that come out, at most [`MAX_ENTRY`].
    len: usize,
    bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The body.
    Plain,
    /// The number of events, each event's delay and length, and the events one after another; the numbers are `u32` and
    /// little endian.
    Stream,
}

/// A compressed answer that is none: whoever gave it to this node is broken, or means harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compressed answer cannot be opened: it does not hold what it says")]
pub struct Unreadable;

impl Recorded {
    /// The answer compressed, if it is large and that saves at least a fifth of its memory.
    pub fn compressed(&self) -> Option<Recorded> {
        if !self.is_large() {
            return None;
        }
        let (form, whole) = match self {
            Recorded::Plain { body } => (Form::Plain, Cow::Borrowed(body.as_ref())),
            Recorded::Stream { events } => (Form::Stream, Cow::Owned(joined(events)?)),
            Recorded::Compressed(_) => return None,
        };
        if whole.len() > MAX_ENTRY {
            return None;
        }
        let bytes = lz4_flex::block::compress(&whole);
        if bytes.len() > self.weight() - self.weight() / LEAST_SAVED {
            return None;
        }
        // An exact copy: the buffer had room for the worst case, and an entry lives long.
        Some(Recorded::Compressed(Compressed { form, len: whole.len(), bytes: Bytes::copy_from_slice(&bytes) }))
    }

    /// Whether it takes enough memory for [`Recorded::compressed`] to try.
    pub(crate) fn is_large(&self) -> bool {
        !matches!(self, Recorded::Compressed(_)) && self.weight() >= LARGE
    }

    /// The answer as it came; no more than [`MAX_ENTRY`] bytes, whatever a peer sent.
    pub fn opened(&self) -> Result<Cow<'_, Recorded>, Unreadable> {
        match self {
            Recorded::Compressed(compressed) => compressed.open().map(Cow::Owned),
            opened => Ok(Cow::Borrowed(opened)),
        }
    }
}

impl Compressed {
    /// The memory that it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn is_plausible(&self) -> bool {
        self.len <= MAX_ENTRY && self.len / MOST_EXPANSION <= self.bytes.len()
    }

    fn open(&self) -> Result<Recorded, Unreadable> {
        if !self.is_plausible() {
            return Err(Unreadable);
        }
        let mut whole = vec![0; self.len];
        let len = lz4_flex::block::decompress_into(&self.bytes, &mut whole).map_err(|_| Unreadable)?;
        if len != self.len {
            return Err(Unreadable);
        }
        match self.form {
            Form::Plain => Ok(Recorded::Plain { body: whole.into() }),
            Form::Stream => parted(whole.into()).map(|events| Recorded::Stream { events }).ok_or(Unreadable),
        }
    }
}

fn joined(events: &[RecordedEvent]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(4 + events.iter().map(|event| 8 + event.bytes.len()).sum::<usize>());
    whole.extend_from_slice(&u32::try_from(events.len()).ok()?.to_le_bytes());
    for event in events {
        whole.extend_from_slice(&event.delay_us.to_le_bytes());
        whole.extend_from_slice(&u32::try_from(event.bytes.len()).ok()?.to_le_bytes());
    }
    events.iter().for_each(|event| whole.extend_from_slice(&event.bytes));
    Some(whole)
}

fn parted(whole: Bytes) -> Option<Vec<RecordedEvent>> {
    let (count, rest) = whole.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(8)?;
    let (marks, texts) = rest.split_at_checked(size)?;
    let mut left = whole.slice_ref(texts);
    let mut events = Vec::with_capacity(size / 8);
    let (marks, _) = marks.as_chunks::<8>();
    for [a, b, c, d, len @ ..] in marks {
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        if len > left.len() {
            return None;
        }
        events.push(RecordedEvent { delay_us: u32::from_le_bytes([*a, *b, *c, *d]), bytes: left.split_to(len) });
    }
    left.is_empty().then_some(events)
}

const PLAIN: u8 = 0;
const STREAM: u8 = 1;

impl Encode for Compressed {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self.form {
            Form::Plain => PLAIN,
            Form::Stream => STREAM,
        }
        .encode(encoder)?;
        (self.len as u64).encode(encoder)?;
        self.bytes.as_ref().encode(encoder)
    }
}

impl<C> Decode<C> for Compressed {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let form = match u8::decode(decoder)? {
            PLAIN => Form::Plain,
            STREAM => Form::Stream,
            found => return Err(DecodeError::OtherString(format!("no compressed answer of form {found}"))),
        };
        let len = usize::try_from(u64::decode(decoder)?).map_err(|_| DecodeError::LimitExceeded)?;
        let compressed = Compressed { form, len, bytes: Vec::<u8>::decode(decoder)?.into() };
        // A bomb is none of our messages.
        if compressed.is_plausible() { Ok(compressed) } else { Err(DecodeError::LimitExceeded) }
    }
}

bincode::impl_borrow_decode!(Compressed);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(delay_us: u32, text: &str) -> RecordedEvent {
        RecordedEvent { delay_us, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn stream(words: u32) -> Recorded {
        let chunk = |n| event(n, &format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"word {n}\"}}}}]}}\n\n"));
        Recorded::Stream { events: (0..words).map(chunk).collect() }
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn what_is_large_and_repeats_itself_takes_a_fraction() {
        let recorded = stream(500);
        let compressed = recorded.compressed().unwrap();
        assert!(compressed.weight() * 5 < recorded.weight(), "{} of {}", compressed.weight(), recorded.weight());
        assert_eq!(*compressed.opened().unwrap(), recorded);
        assert_eq!(compressed.compressed(), None);
    }

    #[test]
    fn what_is_small_or_does_not_shrink_stays_as_it_is() {
        assert_eq!(Recorded::Plain { body: vec![b'x'; LARGE - 1].into() }.compressed(), None);
        assert_eq!(Recorded::Plain { body: noise(100_000).into() }.compressed(), None);
        // A sixth is not worth it, a quarter is.
        let partly = |of: usize| Recorded::Plain { body: [noise(60_000), vec![0; 60_000 / (of - 1)]].concat().into() };
        assert_eq!(partly(6).compressed(), None);
        assert!(partly(4).compressed().is_some());
    }

    #[test]
    fn a_bomb_is_refused_before_its_memory_is_taken_or_filled() {
        let Some(Recorded::Compressed(honest)) = (Recorded::Plain { body: vec![b'x'; 1_000_000].into() }).compressed()
        else {
            panic!("not compressed")
        };
        // It says less than comes out, more than comes out, and more than any answer has.
        for len in [999_999, 1_000_001, MAX_ENTRY, MAX_ENTRY + 1, usize::MAX] {
            assert_eq!(Compressed { len, ..honest.clone() }.open(), Err(Unreadable), "{len}");
        }
        let large = lz4_flex::block::compress(&vec![0; MAX_ENTRY + 1]);
        let bomb = Compressed { form: Form::Plain, len: MAX_ENTRY + 1, bytes: large.into() };
        assert_eq!(bomb.open(), Err(Unreadable));
    }

    #[test]
    fn a_stream_whose_marks_do_not_fit_is_refused() {
        let open = |whole: &[u8]| {
            let bytes = lz4_flex::block::compress(whole).into();
            Compressed { form: Form::Stream, len: whole.len(), bytes }.open()
        };
        let whole = joined(&[event(1, "ab"), event(2, "c")]).unwrap();
        assert!(open(&whole).is_ok());
        assert_eq!(open(&[&whole[..], b"x"].concat()), Err(Unreadable));
        assert_eq!(open(&whole[..whole.len() - 1]), Err(Unreadable));
        assert_eq!(open(&u32::MAX.to_le_bytes()), Err(Unreadable));
        assert_eq!(open(&[]), Err(Unreadable));
        let mut longer = whole;
        longer[8] = 200;
        assert_eq!(open(&longer), Err(Unreadable));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_answer_comes_back_as_it_went(
            kinds in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)), 1..8),
            times in 50_usize..200,
        ) {
            let texts = kinds.iter().cycle().take(kinds.len() * times);
            let body = texts.clone().flat_map(|(_, text)| text.clone()).collect();
            let events = texts
                .map(|(delay_us, text)| RecordedEvent { delay_us: *delay_us, bytes: text.clone().into() })
                .collect();
            for recorded in [Recorded::Stream { events }, Recorded::Plain { body }] {
                let compressed = recorded.compressed();
                prop_assert_eq!(&*compressed.as_ref().unwrap_or(&recorded).opened().unwrap(), &recorded);
                if let Some(compressed) = compressed {
                    prop_assert!(compressed.weight() * 5 <= recorded.weight() * 4);
                }
            }
        }

        #[test]
        fn any_bytes_are_opened_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), len in 0_usize..100_000, is_stream: bool,
        ) {
            let form = if is_stream { Form::Stream } else { Form::Plain };
            let _ = Compressed { form, len, bytes: bytes.into() }.open();
        }
    }
}
