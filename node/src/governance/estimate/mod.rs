//! How many tokens a request may take, told from its bytes before it is sent.
//!
//! A bound to reserve by, not a count: tokenizers differ by vendor and are not at hand, so this one is meant to be too
//! high for English, for other languages and for code.
//!
//! - Text, by byte: see `count` (tested here against OpenAI's two public tokenizers).
//! - 8 tokens for the request, and 6 for each message besides its text.
//! - Tools, schemas and every member of the request or of a message that is not known here: as text, member names
//!   included, one token for each value and bracket, four for a number. What is not known may well be read by the model.
//! - 12 tokens for each tool besides its text.
//! - Images, sound and files are not text: 2,000 tokens an image, one for every 100 bytes of encoded sound, one for
//!   every 4 bytes of an encoded file. These are rough, so the estimate is flagged: see [`Estimate::is_rough`]. An image
//!   can be dearer than that (some models bill one as tens of thousands of tokens). What is only named by its URL counts
//!   as an image.
//! - How long the answer may be is read where the client's dialect has it, and nowhere else: what a provider does not
//!   read bounds nothing.
//!
//! Text made to be dense in tokens (random bytes, rare scripts, rows of symbols) can take more than estimated. What was
//! used is settled afterwards either way.
//!
//! `walk` goes through a body and knows what stands where; `tally` adds it up.

mod tally;
mod walk;

#[cfg(test)]
mod tests;

use peerway_dialect::Dialect;
use serde::de::DeserializeSeed;

use self::tally::Tally;
use self::walk::{At, Place, bounds};
use super::{Limits, count};
use crate::dialect::json::{self, Shape};

const REQUEST: u64 = 8;
const IMAGE: u64 = 2_000;
const SOUND_BYTES: u64 = 100;
const FILE_BYTES: u64 = 4;

#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    #[error("the request cannot be estimated: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the request cannot be estimated: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
}

/// What a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub prompt_tokens: u64,
    pub images: u64,
    pub sounds: u64,
    pub files: u64,
    /// The larger of `max_tokens` and its newer names, where one is given.
    pub asked_output: Option<u64>,
    /// How many answers are written; at least 1.
    pub choices: u64,
    /// The prompt may be written to the provider's cache for an hour.
    pub caches_for_an_hour: bool,
}

impl Estimate {
    /// Reads a request body of this dialect.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, EstimateError> {
        let mut tally = Tally::of(dialect);
        // Checked as a whole: string by string takes longer.
        let mut deserializer = serde_json::Deserializer::from_str(std::str::from_utf8(body)?);
        At { place: Place::Request, tally: &mut tally }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        let text = tally.sixths.div_ceil(6);
        let tokens = [
            text,
            tally.images.saturating_mul(IMAGE),
            tally.sound_bytes.div_ceil(SOUND_BYTES),
            tally.file_bytes.div_ceil(FILE_BYTES),
        ];
        Ok(Self {
            prompt_tokens: tokens.into_iter().fold(tally.tokens + REQUEST, u64::saturating_add),
            images: tally.images,
            sounds: tally.sounds,
            files: tally.files,
            asked_output: tally.asked_output,
            choices: tally.choices.max(1).saturating_mul(tally.prompts.max(1)),
            caches_for_an_hour: tally.says_an_hour,
        })
    }

    /// A body that providers may read although it is no JSON to the letter (half of an emoji's two escapes, as languages
    /// with UTF-16 leave them): all of it as text, and what bounds the answer.
    pub fn of_unread(dialect: Dialect, body: &[u8]) -> Self {
        let mut tally = Tally::of(dialect);
        // Where the walk ends early no provider reads on either.
        let _ = json::members(body, 0..body.len(), |key, value| {
            match bounds(dialect, Place::Request, &key) {
                Some(Place::Config) if value.shape == Shape::Object => {
                    return json::members(body, value.range, |key, value| {
                        tally.bound(bounds(dialect, Place::Config, &key), &body[value.range]);
                        Ok(())
                    });
                }
                place => tally.bound(place, &body[value.range.clone()]),
            }
            if dialect == Dialect::OpenAiCompletions && key == "prompt" && value.shape == Shape::Array {
                // At least as many as there are commas between them.
                tally.prompts = memchr::memchr_iter(b',', &body[value.range]).count() as u64 + 1;
            }
            Ok(())
        });
        let text = count::sixths(&String::from_utf8_lossy(body)).div_ceil(6);
        Self {
            asked_output: tally.asked_output,
            choices: tally.choices.max(1).saturating_mul(tally.prompts.max(1)),
            ..Self::of_prompt(text.saturating_add(REQUEST))
        }
    }

    /// A request of which nothing is known but its prompt's size.
    pub fn of_prompt(prompt_tokens: u64) -> Self {
        Self { prompt_tokens, images: 0, sounds: 0, files: 0, asked_output: None, choices: 1, caches_for_an_hour: true }
    }

    /// Whether the prompt holds more than text.
    pub fn is_rough(&self) -> bool {
        self.images + self.sounds + self.files > 0
    }

    /// The most output tokens that the answer can have: what is asked for but no more than the model gives, else what
    /// the model gives, else `default`; times the choices.
    pub fn worst_output(&self, limits: &Limits, default: u64) -> u64 {
        let most = match (self.asked_output, limits.max_output_tokens) {
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(asked), None) => asked,
            (None, limit) => limit.unwrap_or(default),
        };
        most.saturating_mul(self.choices)
    }
}
