//! The sums of an estimate, while a request is read.

use peerway_dialect::Dialect;

use super::walk::Place;
use crate::dialect::json;
use crate::governance::count;

#[derive(Debug)]
pub(super) struct Tally {
    pub(super) dialect: Dialect,
    /// Of a token, so that thirds are whole numbers.
    pub(super) sixths: u64,
    pub(super) tokens: u64,
    pub(super) images: u64,
    pub(super) sounds: u64,
    pub(super) sound_bytes: u64,
    pub(super) files: u64,
    pub(super) file_bytes: u64,
    pub(super) asked_output: Option<u64>,
    pub(super) choices: u64,
    /// Of a text completion, each of which is answered.
    pub(super) prompts: u64,
    /// A value is `1h`, which is how a cache is asked to keep the prompt.
    pub(super) says_an_hour: bool,
    pub(super) media: Media,
}

/// Encoded bytes that are being read, and what they are as far as it has been told.
#[derive(Debug, Default)]
pub(super) struct Media {
    pub(super) bytes: u64,
    /// As if they were text, while it is not known that they are not.
    pub(super) sixths: u64,
    pub(super) kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Sound,
    Text,
    File,
}

impl Kind {
    pub(super) fn of_type(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Image,
            Some("audio") => Self::Sound,
            Some("text") => Self::Text,
            _ => Self::File,
        }
    }
}

impl Tally {
    pub(super) fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            sixths: 0,
            tokens: 0,
            images: 0,
            sounds: 0,
            sound_bytes: 0,
            files: 0,
            file_bytes: 0,
            asked_output: None,
            choices: 1,
            prompts: 0,
            says_an_hour: false,
            media: Media::default(),
        }
    }

    /// Encoded bytes have come to their end.
    pub(super) fn end_media(&mut self) {
        let Media { bytes, sixths, kind } = std::mem::take(&mut self.media);
        match kind {
            // Without bytes it is a name, of something of any size.
            _ if bytes == 0 => self.images += 1,
            Some(Kind::Text) => self.sixths += sixths,
            Some(Kind::Image) => self.images += 1,
            Some(Kind::Sound) => {
                self.sounds += 1;
                self.sound_bytes += bytes;
            }
            Some(Kind::File) | None => {
                self.files += 1;
                self.file_bytes += bytes;
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.sixths += count::sixths(text);
    }

    /// A number that may bound the answer. One below nothing bounds nothing.
    pub(super) fn number(&mut self, place: Place, number: f64) {
        // The next whole number that fits.
        let tokens = number.ceil() as u64;
        match place {
            Place::MaxTokens if number >= 0.0 => self.asked_output = self.asked_output.max(Some(tokens)),
            Place::Choices => self.choices = self.choices.max(tokens),
            _ => {}
        }
    }

    /// The same, as it is written in a body.
    pub(super) fn bound(&mut self, place: Option<Place>, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        if let (Some(place), Some(number)) = (place, json::told_number(text.trim_matches('"'))) {
            self.number(place, number);
        }
    }
}
