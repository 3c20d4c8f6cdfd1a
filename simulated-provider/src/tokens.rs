//! How the simulated provider counts: not as a real tokenizer does, but the same everywhere, so that usage and bill agree.
//!
//! - An answer's tokens are its pieces: a word with the white space before it, at most 16 bytes of it.
//! - A prompt's tokens are 3, plus for each message 4 and one for every 4 bytes of its text begun, plus 10 for each tool.

const LONGEST_PIECE: usize = 16;

/// Tokens of a prompt with messages of these many bytes of text and so many tools.
pub fn prompt_tokens(message_bytes: impl IntoIterator<Item = usize>, tools: usize) -> u64 {
    let messages: u64 = message_bytes.into_iter().map(|bytes| 4 + bytes.div_ceil(4) as u64).sum();
    3 + messages + 10 * tools as u64
}

/// Tokens of an answer's text.
pub fn completion_tokens(text: &str) -> u64 {
    pieces(text).count() as u64
}

/// The end of each piece of the text, in bytes.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == text.len() {
            return None;
        }
        let mut in_word = false;
        let mut end = text.len();
        for (at, character) in text[start..].char_indices() {
            if at > 0 && (in_word && character.is_whitespace() || at + character.len_utf8() > LONGEST_PIECE) {
                end = start + at;
                break;
            }
            in_word |= !character.is_whitespace();
        }
        start = end;
        Some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let mut start = 0;
        pieces(text).map(|end| &text[std::mem::replace(&mut start, end)..end]).collect()
    }

    #[test]
    fn pieces_are_words_with_the_space_before() {
        assert_eq!(split("echo: hello  there\n"), ["echo:", " hello", "  there", "\n"]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split(&"x".repeat(20)), ["x".repeat(16), "x".repeat(4)]);
        assert_eq!(split(&"ä".repeat(9)), ["ä".repeat(8), "ä".into()]);
        assert_eq!(completion_tokens("echo: hi"), 2);
    }

    #[test]
    fn prompts_are_counted_by_bytes() {
        assert_eq!(prompt_tokens([2], 0), 3 + 4 + 1);
        assert_eq!(prompt_tokens([8, 9], 2), 3 + 4 + 2 + 4 + 3 + 20);
    }
}
