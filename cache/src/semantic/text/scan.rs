//! Characters to tokens: words, numbers, identifiers and operators. No meaning yet.

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Word,
    Number,
    /// A name out of code or a system: `livenessProbe`, `log.txt`, `--force`, `VLOOKUP`.
    Code,
    /// A run of operator characters: `===`, `>>`, `^`.
    Operator,
}

/// One token as it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// Whether it starts a sentence, where a capital letter says nothing.
    pub(crate) opens: bool,
    /// Whether a comma stands between it and the token before.
    pub(crate) after_comma: bool,
    /// The character right before it: white space, the mark that joins it to the token before, or `JOINED`.
    pub(crate) before: char,
}

/// Stands before a token that was split off the one before it: the `x` of `3x`.
pub(crate) const JOINED: char = '\0';

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    let (mut at, mut opens) = (0, true);
    let (mut comma, mut marked) = (false, 0);
    while at < letters.len() {
        let c = letters[at];
        // What a comma stands before is marked once the token is there.
        if comma && found.len() > marked {
            found[marked].after_comma = true;
            comma = false;
        }
        marked = found.len();
        let before = if at == 0 { ' ' } else { letters[at - 1] };
        let next = letters.get(at + 1).copied().unwrap_or(' ');
        if is_letter(c) || (c == '_' && next.is_alphanumeric()) {
            let end = word_end(&letters, at);
            let word: String = letters[at..end].iter().map(|&c| if c == '’' { '\'' } else { c }).collect();
            split(&word, opens, before, &mut found);
            opens = false;
            at = end;
            continue;
        }
        if c == '-' && next.is_alphabetic() && (before.is_whitespace() || before == '-') {
            // A flag of a command line, or a dash between words: what follows tells.
            let end = word_end(&letters, at + 1);
            found.push(Token {
                text: letters[at + 1..end].iter().collect(),
                kind: Kind::Code,
                opens,
                after_comma: false,
                before,
            });
            opens = false;
            at = end;
            continue;
        }
        if let Some(word) = sign_word(c) {
            found.push(Token { text: word.into(), kind: Kind::Word, opens: false, after_comma: false, before });
        } else if is_operator(c) {
            let end = (at..letters.len()).find(|&i| !is_operator(letters[i])).unwrap_or(letters.len());
            found.push(Token {
                text: letters[at..end].iter().collect(),
                kind: Kind::Operator,
                opens: false,
                after_comma: false,
                before,
            });
            at = end;
            continue;
        }
        comma |= matches!(c, ',' | ';');
        opens |= matches!(c, '.' | '!' | '?' | ':' | '\n' | '"' | '“');
        at += 1;
    }
    found
}

/// The end of a word that starts at `at`: letters, digits, and the marks that stand inside words.
fn word_end(letters: &[char], at: usize) -> usize {
    let mut end = at + 1;
    while end < letters.len() {
        let (before, c) = (letters[end - 1], letters[end]);
        let next = letters.get(end + 1).copied().unwrap_or(' ');
        let inside = match c {
            '\'' | '’' => before.is_alphabetic() && next.is_alphabetic(),
            ',' => before.is_ascii_digit() && thousands(letters, end),
            '.' => (before.is_alphanumeric() || before == ')') && next.is_alphanumeric(),
            ':' => before.is_ascii_digit() && next.is_ascii_digit(),
            '_' => true,
            _ => is_letter(c) || is_mark(c),
        };
        if !inside {
            break;
        }
        end += 1;
    }
    end
}

/// Letters and digits; raised digits and fractions are signs of their own.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && sign_word(c).is_none()
}

/// A combining mark stays with its letter.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x900..=0x903 | 0x93a..=0x94f | 0x64b..=0x65f)
}

fn thousands(letters: &[char], comma: usize) -> bool {
    let digits = letters[comma + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    digits == 3
}

fn split(word: &str, opens: bool, before: char, found: &mut Vec<Token>) {
    let mut push =
        |text: &str, kind, before| found.push(Token { text: text.into(), kind, opens, after_comma: false, before });
    let first_letter = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, ',' | '.' | ':')));
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        match first_letter {
            None => push(word, Kind::Number, before),
            Some(at) => {
                let (digits, rest) = word.split_at(at);
                let digits = digits.trim_end_matches('.');
                push(digits, Kind::Number, before);
                match rest {
                    "st" | "nd" | "rd" | "th" => {}
                    _ => push(rest, if digits.len() + rest.len() > 6 { Kind::Code } else { Kind::Word }, JOINED),
                }
            }
        }
        return;
    }
    push(word, if is_code(word) { Kind::Code } else { Kind::Word }, before);
}

/// Whether a word is shaped like a name out of code.
fn is_code(word: &str) -> bool {
    let inner_dot = word.trim_end_matches('.').contains('.') && word.len() > 4;
    let camel = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    let shouted = word.len() >= 2
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && word.chars().any(|c| c.is_ascii_uppercase());
    word.contains('_') || inner_dot || camel || shouted
}

fn is_operator(c: char) -> bool {
    matches!(c, '=' | '<' | '>' | '|' | '&' | '+' | '*' | '^' | '~' | '→' | '×' | '÷' | '±' | '≤' | '≥' | '≠')
}

/// Signs that are read as words.
fn sign_word(c: char) -> Option<&'static str> {
    Some(match c {
        '%' => "percent",
        '$' => "dollar",
        '€' => "euro",
        '£' => "pound",
        '¥' => "yen",
        '²' => "squared",
        '³' => "cubed",
        '½' => "half",
        _ => return None,
    })
}
