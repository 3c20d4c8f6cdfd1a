//! The optional details of a usage. Providers differ in them, so what is odd counts as nothing said: a stream must not
//! break over a detail.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The details of either side; a side has only some of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Details {
    pub(super) cached: u64,
    pub(super) cache_write: u64,
    pub(super) audio: u64,
    pub(super) image: u64,
    pub(super) reasoning: u64,
}

/// A count of tokens; 0 for what is none.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(CountVisitor)
}

struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        count(deserializer).map(Self)
    }
}

struct CountVisitor;

/// The answers of a visitor to everything that it has no use for.
macro_rules! otherwise {
    ($value:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for CountVisitor {
    type Value = u64;

    otherwise!(0);

    fn visit_u64<E>(self, count: u64) -> Result<u64, E> {
        Ok(count)
    }

    fn visit_f64<E>(self, count: f64) -> Result<u64, E> {
        // Saturating, and 0 for what is below it or not a number.
        Ok(count as u64)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(0)
    }
}

impl<'de> Deserialize<'de> for Details {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DetailsVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    CachedTokens,
    CacheWriteTokens,
    AudioTokens,
    ImageTokens,
    ReasoningTokens,
    #[serde(other)]
    Other,
}

struct DetailsVisitor;

impl<'de> Visitor<'de> for DetailsVisitor {
    type Value = Details;

    otherwise!(Details::default());

    fn visit_u64<E>(self, _: u64) -> Result<Details, E> {
        Ok(Details::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Details, E> {
        Ok(Details::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Details, A::Error> {
        let mut details = Details::default();
        while let Some(field) = map.next_key::<Field>()? {
            let place = match field {
                Field::CachedTokens => &mut details.cached,
                Field::CacheWriteTokens => &mut details.cache_write,
                Field::AudioTokens => &mut details.audio,
                Field::ImageTokens => &mut details.image,
                Field::ReasoningTokens => &mut details.reasoning,
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = map.next_value::<Count>()?.0;
        }
        Ok(details)
    }
}
