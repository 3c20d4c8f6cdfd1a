//! Model patterns: `*` stands for any run of characters, everything else for itself.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Linear in the text's length: each piece between stars is taken at its first place, the last at the end.
    pub fn matches(&self, text: &str) -> bool {
        let Some((head, mut pieces)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut rest) = text.strip_prefix(head) else { return false };
        while let Some((piece, more)) = pieces.split_once('*') {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
            pieces = more;
        }
        rest.ends_with(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("openai/*", "openai/gpt-4o", true),
            ("openai/*", "openai", false),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("*/gpt-*-mini", "azure/gpt-4o-mini", true),
            ("*/gpt-*-mini", "azure/gpt-4o", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "axbxb", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
