//! One cached answer: immutable, with everything needed to check it and to play it back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use bytes::Bytes;

use crate::compressed::{Compressed, Unreadable};
use crate::identity::{EntryId, NamespaceId};

/// How far two nodes' clocks may be apart before they refuse each other's fresh entries.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// The longest life of an entry; purges are remembered for a little longer.
pub const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an entry costs beside its bytes: the struct, its strings' headers and its place in the table.
const FIXED_WEIGHT: usize = 512;
const EVENT_WEIGHT: usize = std::mem::size_of::<RecordedEvent>();

/// An answer of an upstream with status 200, whole and finished.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// What it answers.
    pub id: EntryId,
    /// Whose it is; an entry is never given to another tenant or namespace than this.
    pub namespace: NamespaceId,
    /// [`crate::RingCache::generation`] from before the request was sent, so that a purge also reaches answers that
    /// were under way.
    pub generation: u64,
    /// When the answer was complete, unix milliseconds.
    pub created_ms: u64,
    /// From when on it is not served any more, unix milliseconds; at most [`MAX_LIFE`] later.
    pub expires_ms: u64,
    /// What is served.
    pub content: Content,
}

/// What an entry holds for its readers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Content {
    /// Which provider answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// What the provider counted, if it did.
    pub usage: Option<Usage>,
    /// The answer itself.
    pub recorded: Recorded,
}

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Usage {
    /// In the request.
    pub prompt_tokens: u64,
    /// In the answer.
    pub completion_tokens: u64,
}

/// The answer as it came, or compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// One body.
    Plain {
        /// Its bytes, unchanged, in memory of their own: a slice would keep the whole buffer that it came in.
        body: Bytes,
    },
    /// A stream of server-sent events, to its end.
    Stream {
        /// The events in order.
        events: Vec<RecordedEvent>,
    },
    /// Either of them in less memory; [`Recorded::opened`] has it as it came.
    Compressed(Compressed),
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The time since the event before it (the first: since the request), in microseconds.
    pub delay_us: u32,
    /// The whole event with the blank line that ends it.
    pub bytes: Bytes,
}

impl Entry {
    /// Whether it may be served at this time, as far as time goes.
    ///
    /// Times are absolute, so the clocks of two nodes matter: an entry that seems to come from more than
    /// [`CLOCK_SKEW`] in the future is not served, or a node with a wrong clock could make one that lives too long.
    pub fn is_live(&self, now_ms: u64) -> bool {
        let latest = self.created_ms.saturating_add(MAX_LIFE.as_millis() as u64);
        now_ms < self.expires_ms.min(latest) && self.created_ms <= now_ms.saturating_add(CLOCK_SKEW.as_millis() as u64)
    }

    /// How much longer it lives.
    pub fn time_left(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.expires_ms.saturating_sub(now_ms))
    }

    /// The entry with its answer as it came.
    pub fn opened(self: &Arc<Entry>) -> Result<Arc<Entry>, Unreadable> {
        match self.content.recorded.opened()? {
            Cow::Borrowed(_) => Ok(self.clone()),
            Cow::Owned(recorded) => Ok(Arc::new(self.with(recorded))),
        }
    }

    /// The entry with its answer compressed, if that pays.
    pub(crate) fn compressed(&self) -> Option<Entry> {
        self.content.recorded.compressed().map(|recorded| self.with(recorded))
    }

    fn with(&self, recorded: Recorded) -> Entry {
        let Content { provider, model, usage, .. } = &self.content;
        let content = Content { provider: provider.clone(), model: model.clone(), usage: *usage, recorded };
        Entry { content, ..*self }
    }

    /// The memory that it takes, in bytes.
    pub fn weight(&self) -> usize {
        FIXED_WEIGHT + self.content.provider.len() + self.content.model.len() + self.content.recorded.weight()
    }
}

impl Recorded {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Recorded::Plain { body } => body.len(),
            Recorded::Stream { events } => events.iter().map(|event| event.bytes.len() + EVENT_WEIGHT).sum(),
            Recorded::Compressed(compressed) => compressed.weight(),
        }
    }
}

const PLAIN: u8 = 0;
const STREAM: u8 = 1;
const COMPRESSED: u8 = 2;

// By hand, so that a stream of thousands of events is one piece of memory at its reader, not thousands.
impl Encode for Recorded {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Recorded::Plain { body } => {
                PLAIN.encode(encoder)?;
                body.as_ref().encode(encoder)
            }
            Recorded::Stream { events } => {
                STREAM.encode(encoder)?;
                (events.len() as u64).encode(encoder)?;
                for event in events {
                    event.delay_us.encode(encoder)?;
                    (event.bytes.len() as u64).encode(encoder)?;
                }
                events.iter().try_for_each(|event| encoder.writer().write(&event.bytes))
            }
            Recorded::Compressed(compressed) => {
                COMPRESSED.encode(encoder)?;
                compressed.encode(encoder)
            }
        }
    }
}

impl<C> Decode<C> for Recorded {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u8::decode(decoder)? {
            PLAIN => Ok(Recorded::Plain { body: Vec::<u8>::decode(decoder)?.into() }),
            STREAM => {
                let lengths = Vec::<(u32, u64)>::decode(decoder)?;
                let total = lengths
                    .iter()
                    .try_fold(0_u64, |total, (_, len)| total.checked_add(*len))
                    .and_then(|total| usize::try_from(total).ok())
                    .ok_or(DecodeError::LimitExceeded)?;
                // Counted against the codec's limit before the memory is taken.
                decoder.claim_bytes_read(total)?;
                let mut all = vec![0; total];
                decoder.reader().read(&mut all)?;
                let mut rest = Bytes::from(all);
                let events = lengths
                    .into_iter()
                    .map(|(delay_us, len)| RecordedEvent { delay_us, bytes: rest.split_to(len as usize) })
                    .collect();
                Ok(Recorded::Stream { events })
            }
            COMPRESSED => Compressed::decode(decoder).map(Recorded::Compressed),
            found => Err(DecodeError::OtherString(format!("no recorded answer of kind {found}"))),
        }
    }
}

bincode::impl_borrow_decode!(Recorded);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(recorded: Recorded) -> Entry {
        Entry {
            id: [7; 32].into(),
            namespace: NamespaceId { scope: [1; 16], name: [2; 16] },
            generation: 3,
            created_ms: 10_000,
            expires_ms: 20_000,
            content: Content { provider: "p".to_owned(), model: "m".to_owned(), usage: None, recorded },
        }
    }

    #[test]
    fn lives_between_its_times_with_two_seconds_of_skew_at_its_birth() {
        let entry = entry(Recorded::Plain { body: Bytes::new() });
        let live: Vec<_> = [7_999, 8_000, 10_000, 19_999, 20_000].map(|now| entry.is_live(now)).into();
        assert_eq!(live, [false, true, true, true, false]);
        let eternal = Entry { expires_ms: u64::MAX, ..entry };
        let week = MAX_LIFE.as_millis() as u64;
        assert!(eternal.is_live(10_000 + week - 1) && !eternal.is_live(10_000 + week));
    }

    #[test]
    fn weighs_its_bytes_and_its_upkeep() {
        let plain = entry(Recorded::Plain { body: Bytes::from(vec![0; 1000]) });
        assert!((1000 + FIXED_WEIGHT..2000).contains(&plain.weight()));
        let event = RecordedEvent { delay_us: 1, bytes: Bytes::from_static(b"data: 1\n\n") };
        let stream = entry(Recorded::Stream { events: vec![event; 100] });
        assert!(stream.weight() > FIXED_WEIGHT + 100 * (9 + 32));
    }
}
