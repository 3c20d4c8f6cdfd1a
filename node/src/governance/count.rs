//! How many tokens a text has, told from its bytes: no vendor's tokenizer is at hand.
//!
//! By byte: a third of a token for an ASCII letter or space (English has 4 to 5 bytes a token), five sixths for other
//! ASCII (digits, punctuation and line ends, of which code and JSON are full), two thirds for any other byte (a CJK
//! character has three bytes, and one or two tokens). Against OpenAI's two public tokenizers this is 1.5 to 1.7 times
//! too high for prose, 1.1 to 1.8 times for code and JSON, and up to 2.4 times for other scripts.

const TOKEN: u64 = 6;
/// The weights of so many bytes add up to less than a byte holds.
const PIECE: usize = 32;

/// Of a token in one byte, so that thirds are whole numbers. Without a branch, so that it is done many bytes at a time.
const fn weight(byte: u8) -> u8 {
    let is_word = (byte | 0x20).wrapping_sub(b'a') < 26 || byte == b' ';
    4 + byte.is_ascii() as u8 - 3 * is_word as u8
}

/// Sixths of a token in this text.
pub(super) fn sixths(text: &str) -> u64 {
    let of = |piece: &[u8]| u64::from(piece.iter().fold(0, |sum: u8, byte| sum.wrapping_add(weight(*byte))));
    let (pieces, rest) = text.as_bytes().as_chunks::<PIECE>();
    pieces.iter().map(|piece| of(piece)).sum::<u64>() + of(rest)
}

/// What a model has written, counted as it comes. An upper bound for what its provider counts, a tenth on top: it is
/// used where the provider does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    sixths: u64,
}

impl Written {
    /// Counts a piece of text. However short, a word is a token, and so is a piece that a stream sent by itself.
    pub fn text(&mut self, text: &str) {
        let mut word = 0;
        let mut after_space = true;
        for byte in text.bytes() {
            let is_space = byte.is_ascii_whitespace();
            // A word begins with the white space before it.
            if is_space && !after_space {
                self.sixths = self.sixths.saturating_add(word.max(TOKEN));
                word = 0;
            }
            word += u64::from(weight(byte));
            after_space = is_space;
        }
        if word > 0 {
            self.sixths = self.sixths.saturating_add(word.max(TOKEN));
        }
    }

    /// Counts encoded sound: roughly, as bytes of it say little of its length.
    pub fn sound(&mut self, bytes: usize) {
        self.sixths = self.sixths.saturating_add((bytes as u64 / 100 + 1) * TOKEN);
    }

    /// Tokens, a tenth added.
    pub fn tokens(&self) -> u64 {
        self.sixths.saturating_mul(11).div_ceil(10 * TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> u64 {
        let mut written = Written::default();
        written.text(text);
        written.tokens()
    }

    #[test]
    fn weights_are_as_described() {
        for byte in 0..=u8::MAX {
            let expected = match byte {
                b' ' | b'a'..=b'z' | b'A'..=b'Z' => 2,
                0..=127 => 5,
                _ => 4,
            };
            assert_eq!(weight(byte), expected, "{byte}");
        }
        let text = "1: a line, \u{6f22}\u{5b57}\n".repeat(40);
        assert_eq!(sixths(&text), text.bytes().map(|byte| u64::from(weight(byte))).sum::<u64>());
        assert_eq!(sixths(""), 0);
    }

    #[test]
    fn every_word_is_a_token() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("a b c d e f g h i j"), 11, "ten, and a tenth");
        assert_eq!(tokens("\n"), 2, "one and a tenth, rounded up");
        let mut pieces = Written::default();
        (0..10).for_each(|_| pieces.text("a"));
        assert_eq!(pieces.tokens(), 11, "each piece of a stream is a token");
    }

    proptest! {
        /// The simulated provider's tokens are small, and it bills every one.
        #[test]
        fn never_below_the_simulated_providers_count(text in "(?s).{0,300}", words in "([a-z ]{0,4}[\n\t]?){0,40}") {
            for text in [text, words] {
                prop_assert!(tokens(&text) >= peerway_simulated_provider::completion_tokens(&text), "{text:?}");
            }
        }

        #[test]
        fn pieces_count_for_no_less_than_the_whole(text in "[a-z ,.0-9]{0,80}", cut in any::<proptest::sample::Index>()) {
            let at = cut.index(text.len() + 1);
            let mut pieces = Written::default();
            pieces.text(&text[..at]);
            pieces.text(&text[at..]);
            prop_assert!(pieces.tokens() >= tokens(&text));
        }
    }
}
