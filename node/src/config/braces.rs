//! Lets `${NAME}` stand unquoted wherever YAML allows a plain word.
//!
//! Inside `[...]` and `{...}` YAML reads the braces of `${NAME}` as the beginning of a mapping. So before the parser
//! sees the text, the structural characters of each reference are exchanged, one for one, for private-use characters
//! that the file does not hold, and back again in the scalars that come out. One for one, so that lines and columns
//! stay true; and the variable's value is put in only after parsing, so that no value can become structure.

const STRUCTURAL: [char; 8] = ['{', '}', '[', ']', ',', ':', '#', ' '];

/// A text that is safe to parse, and the way back.
#[derive(Debug)]
pub(super) struct Shielded {
    pub(super) text: String,
    base: u32,
}

impl Shielded {
    pub(super) fn new(source: &str) -> Self {
        let base = free_block(source);
        let mut text = String::with_capacity(source.len() + 64);
        let mut rest = source;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            text.push_str(before);
            let end = reference_length(reference);
            text.extend(reference[..end].chars().map(|c| exchange(c, base)));
            rest = &reference[end..];
        }
        text.push_str(rest);
        Self { text, base }
    }

    /// The scalar as it was written.
    pub(super) fn restore(&self, scalar: &str) -> String {
        let structural = |c: char| STRUCTURAL.get(u32::from(c).checked_sub(self.base)? as usize).copied();
        scalar.chars().map(|c| structural(c).unwrap_or(c)).collect()
    }
}

/// `${...}` on one line; an unclosed one is left for the interpolation to complain about.
fn reference_length(reference: &str) -> usize {
    let line = &reference[..reference.find('\n').unwrap_or(reference.len())];
    let name = line[2..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(line.len(), |at| at + 2);
    match line[name..].chars().next() {
        Some('}') => name + 1,
        Some(':') => line[name..].find('}').map_or(2, |at| name + at + 1),
        _ => 2,
    }
}

fn exchange(c: char, base: u32) -> char {
    let index = STRUCTURAL.iter().position(|structural| *structural == c);
    index.and_then(|index| char::from_u32(base + index as u32)).unwrap_or(c)
}

/// A block of private-use characters that the source does not use; a file that uses all of them in turn is not one
/// that somebody wrote.
fn free_block(source: &str) -> u32 {
    let blocks = (0xE000..0xF8F0).step_by(STRUCTURAL.len());
    let free = |base: &u32| !source.chars().any(|c| (*base..*base + STRUCTURAL.len() as u32).contains(&u32::from(c)));
    blocks.into_iter().find(free).unwrap_or(0xE000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lose_their_structure_and_get_it_back() {
        let source = "a: { b: ${X}, c: ${Y:-d: [e], f}, g: ${unclosed, h: $${Z} }\n";
        let shielded = Shielded::new(source);
        assert_eq!(shielded.text.chars().count(), source.chars().count());
        assert!(!shielded.text.contains("${X}") && !shielded.text.contains("d: [e]"));
        assert_eq!(shielded.restore(&shielded.text), source);
    }

    #[test]
    fn private_use_characters_in_the_file_survive() {
        let source = "a: \u{E000}\u{E001} ${X}";
        let shielded = Shielded::new(source);
        assert!(shielded.text.starts_with("a: \u{E000}\u{E001} $"));
        assert_eq!(shielded.restore(&shielded.text), source);
    }
}
