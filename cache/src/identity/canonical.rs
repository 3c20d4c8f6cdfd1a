//! The canonical form of a request, written in one pass without a tree.
//!
//! It is a prefix code, so no two different requests have one form: `"` length bytes for a string, `#` digits `;` for
//! a number, `t` `f` `n`, `[` values `]`, `{` keys and values `}` with the members sorted by decoded key.

use std::ops::Range;

use super::{EXCLUDED, IdentityError, number, text};

/// How deep a request may be nested.
pub const MAX_DEPTH: usize = 128;
/// Positions in the canonical form are kept in 32 bits, and the form may be longer than the body.
const MAX_BODY: usize = 256 * 1024 * 1024;
/// Sorting moves bytes once a level; what is moved more often in all than this times the body is a trap, not a request.
const MAX_MOVES: usize = 8;
const FREE_MOVES: usize = 64 * 1024;

/// Appends the canonical form of `body`.
pub(super) fn append(out: Vec<u8>, body: &[u8]) -> Result<Vec<u8>, IdentityError> {
    if body.len() > MAX_BODY {
        return Err(IdentityError::TooCostly);
    }
    if std::str::from_utf8(body).is_err() {
        return Err(IdentityError::NotUtf8);
    }
    let moves_left = body.len() * MAX_MOVES + FREE_MOVES;
    let mut writer = Writer { body, at: 0, out, members: Vec::new(), aside: Vec::new(), moves_left };
    writer.space();
    if writer.peek() != Some(b'{') {
        return Err(writer.expected("an object"));
    }
    writer.object(1)?;
    writer.space();
    if writer.peek().is_some() { Err(writer.expected("the end")) } else { Ok(writer.out) }
}

struct Writer<'a> {
    body: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// The members of all objects that are still open, the innermost last.
    members: Vec<Member>,
    aside: Vec<u8>,
    moves_left: usize,
}

/// Where a member stands in the canonical form, its key first.
#[derive(Clone, Copy)]
struct Member {
    start: u32,
    key_end: u32,
    end: u32,
}

impl Member {
    fn span(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn key(self, out: &[u8]) -> &[u8] {
        &out[self.start as usize + text::PREFIX..self.key_end as usize]
    }
}

impl Writer<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> IdentityError {
        IdentityError::Syntax { at: self.at, expected }
    }

    fn value(&mut self, depth: usize) -> Result<(), IdentityError> {
        match self.peek() {
            Some(b'"') => self.text(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => {
                self.at = number::scan(self.body, self.at, &mut self.out)?;
                Ok(())
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.expected("a value")),
        }
    }

    fn text(&mut self) -> Result<(), IdentityError> {
        self.at = text::scan(self.body, self.at, &mut self.out)?;
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), IdentityError> {
        if !self.body[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        self.out.push(word[0]);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), IdentityError> {
        self.open(depth)?;
        if !self.close(b']') {
            loop {
                self.space();
                self.value(depth)?;
                self.space();
                if self.close(b']') {
                    break;
                }
                self.comma("',' or ']'")?;
            }
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), IdentityError> {
        self.open(depth)?;
        let first = self.members.len();
        let mut excluded = [false; EXCLUDED.len()];
        if !self.at_end(b'}') {
            loop {
                self.space();
                self.member(depth, &mut excluded)?;
                self.space();
                if self.at_end(b'}') {
                    break;
                }
                self.comma("',' or '}'")?;
            }
        }
        self.sort(first)?;
        self.members.truncate(first);
        self.close(b'}');
        Ok(())
    }

    /// Takes the opening bracket and what stands before the first value.
    fn open(&mut self, depth: usize) -> Result<(), IdentityError> {
        if depth > MAX_DEPTH {
            return Err(IdentityError::TooDeep);
        }
        self.out.push(self.body[self.at]);
        self.at += 1;
        self.space();
        Ok(())
    }

    fn at_end(&self, bracket: u8) -> bool {
        self.peek() == Some(bracket)
    }

    fn close(&mut self, bracket: u8) -> bool {
        let here = self.at_end(bracket);
        if here {
            self.at += 1;
            self.out.push(bracket);
        }
        here
    }

    fn comma(&mut self, expected: &'static str) -> Result<(), IdentityError> {
        if self.peek() != Some(b',') {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn member(&mut self, depth: usize, excluded: &mut [bool; EXCLUDED.len()]) -> Result<(), IdentityError> {
        let start = self.out.len();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member name"));
        }
        self.text()?;
        let key_end = self.out.len();
        let key = &self.out[start + text::PREFIX..key_end];
        let left_out = if depth == 1 { EXCLUDED.iter().position(|name| name.as_bytes() == key) } else { None };
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("':'"));
        }
        self.at += 1;
        self.space();
        self.value(depth)?;
        match left_out {
            Some(index) if std::mem::replace(&mut excluded[index], true) => {
                return Err(IdentityError::DuplicateKey { at: self.at });
            }
            Some(_) => self.out.truncate(start),
            // All below 4 GiB by `MAX_BODY`: the form is at most a few times the body.
            None => {
                self.members.push(Member { start: start as u32, key_end: key_end as u32, end: self.out.len() as u32 })
            }
        }
        Ok(())
    }

    /// Brings the members from `first` on, which end the canonical form, into the order of their keys.
    fn sort(&mut self, first: usize) -> Result<(), IdentityError> {
        let members = &mut self.members[first..];
        let out = &mut self.out;
        if members.is_sorted_by(|a, b| a.key(out) < b.key(out)) {
            return Ok(());
        }
        let start = members[0].start as usize;
        self.moves_left = self.moves_left.checked_sub(out.len() - start).ok_or(IdentityError::TooCostly)?;
        members.sort_unstable_by(|a, b| a.key(out).cmp(b.key(out)));
        if members.windows(2).any(|pair| pair[0].key(out) == pair[1].key(out)) {
            return Err(IdentityError::DuplicateKey { at: self.at });
        }
        self.aside.clear();
        for member in members {
            self.aside.extend_from_slice(&out[member.span()]);
        }
        out[start..].copy_from_slice(&self.aside);
        Ok(())
    }
}
