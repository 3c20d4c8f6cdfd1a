//! A form (`multipart/form-data`, RFC 7578) as uploads of audio and images come in: the few fields that a gateway must
//! know are found in the body as it lies there, and only a model's name is ever changed.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem;

use super::EnvelopeError;
use super::edit::Edits;

const MOST_FIELDS: usize = 256;

/// What a form says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub model: String,
    model_range: Range<usize>,
    pub stream: bool,
    /// How many things are asked for.
    pub n: u64,
    /// Bytes of the fields that are text.
    pub text_bytes: u64,
    /// How many files there are, and their bytes.
    pub files: u64,
    pub file_bytes: u64,
}

/// A part of the form.
struct Part<'a> {
    name: &'a str,
    is_file: bool,
    content: Range<usize>,
}

impl Form {
    pub fn scan(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Self, EnvelopeError> {
        let content_type = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = boundary(content_type)
            .ok_or(EnvelopeError::Form("the content type is not `multipart/form-data` with a boundary"))?;
        let mut model: Option<(String, Range<usize>)> = None;
        let (mut stream, mut n) = (None, None);
        let (mut text_bytes, mut files, mut file_bytes) = (0, 0, 0);
        parts(body, boundary, |part| {
            let bytes = &body[part.content.clone()];
            let length = bytes.len() as u64;
            if part.is_file {
                files += 1;
                file_bytes += length;
                return Ok(());
            }
            text_bytes += length;
            let text = || std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Form("a field is not UTF-8"));
            let repeated = match part.name {
                "model" => model.replace((text()?.to_owned(), part.content)).map(|_| "model"),
                "stream" => stream.replace(text()? == "true").map(|_| "stream"),
                "n" => n.replace(text()?.parse().unwrap_or(1)).map(|_| "n"),
                _ => None,
            };
            // Readers differ in which of two they take.
            repeated.map_or(Ok(()), |field| Err(EnvelopeError::Twice { field }))
        })?;
        let (model, model_range) = model.ok_or(EnvelopeError::Missing { field: "model" })?;
        if model.is_empty() {
            return Err(EnvelopeError::WrongShape { field: "model", expected: "a non-empty string" });
        }
        let (stream, n) = (stream.unwrap_or(false), n.unwrap_or(1));
        Ok(Self { model, model_range, stream, n, text_bytes, files, file_bytes })
    }

    /// The body with the provider's name of the model; the client's own bytes, uncopied, where that is the same.
    pub fn rewrite(&self, body: &Bytes, model: &str) -> Bytes {
        let mut edits = Edits::default();
        if model != self.model {
            edits.replace(self.model_range.clone(), model.as_bytes());
        }
        edits.apply(body)
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let is_boundary = |parameter: &&str| parameter.get(..9).is_some_and(|name| name.eq_ignore_ascii_case("boundary="));
    let boundary = parameters.split(';').map(str::trim).find(is_boundary)?[9..].trim_matches('"');
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

fn parts<'b>(
    body: &'b [u8],
    boundary: &str,
    mut take: impl FnMut(Part<'b>) -> Result<(), EnvelopeError>,
) -> Result<(), EnvelopeError> {
    let broken = EnvelopeError::Form;
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&delimiter);
    // What stands before the first delimiter is nobody's.
    let first = &delimiter.as_bytes()[2..];
    let mut at = match body.strip_prefix(first) {
        Some(_) => first.len(),
        None => finder.find(body).ok_or(broken("its boundary does not occur"))? + delimiter.len(),
    };
    for _ in 0..MOST_FIELDS {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(());
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(broken("a boundary is not at the end of its line"));
        }
        let head_at = at + padding + 2;
        let head_end = memmem::find(&body[head_at..], b"\r\n\r\n").ok_or(broken("a field has no content"))?;
        let head = std::str::from_utf8(&body[head_at..head_at + head_end])
            .map_err(|_| broken("the headers of a field are not UTF-8"))?;
        let content_at = head_at + head_end + 4;
        let length = finder.find(&body[content_at..]).ok_or(broken("its last boundary is missing"))?;
        let (name, is_file) = disposition(head).ok_or(broken("a field has no name that can be read"))?;
        take(Part { name, is_file, content: content_at..content_at + length })?;
        at = content_at + length + delimiter.len();
    }
    Err(broken("it has too many fields"))
}

/// The name of a field, and whether it is a file.
fn disposition(head: &str) -> Option<(&str, bool)> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))?;
    let (kind, mut rest) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut field, mut is_file) = (None, false);
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            // A quoted text may hold `;` and escaped quotes.
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (&quoted[..end], quoted[end + 1..].trim_start())
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim(), &after[end..])
            }
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "name" if field.replace(value).is_some() => return None,
            "filename" | "filename*" => is_file = true,
            // Other readers might take it for the name.
            "name*" => return None,
            _ => {}
        }
        rest = match next.strip_prefix(';') {
            Some(next) => next,
            None if next.is_empty() => next,
            None => return None,
        };
    }
    field.map(|field| (field, is_file))
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|at| bytes[*at] == b'"' && (*at == 0 || bytes[*at - 1] != b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(boundary: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}")).unwrap()
    }

    fn body(fields: &[(&str, &[u8])]) -> Bytes {
        let mut body = Vec::new();
        for (disposition, content) in fields {
            body.extend_from_slice(b"--b1\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; ");
            body.extend_from_slice(format!("{disposition}\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b1--\r\n");
        body.into()
    }

    const FILE: (&str, &[u8]) = ("name=\"file\"; filename=\"a;b \\\"c\\\".wav\"", b"RIFF\x00\xff\r\n--b\r\n");

    #[test]
    fn finds_what_the_gateway_needs() {
        let body =
            body(&[FILE, ("name=\"model\"", b"openai/whisper-1"), ("name=stream", b"true"), ("name=\"n\"", b"3")]);
        let form = Form::scan(Some(&kind("\"b1\"")), &body).unwrap();
        assert_eq!((form.model.as_str(), form.stream, form.n), ("openai/whisper-1", true, 3));
        assert_eq!((form.files, form.file_bytes), (1, FILE.1.len() as u64));
    }

    #[test]
    fn only_a_differing_model_is_edited() {
        let sent = body(&[FILE, ("name=\"model\"", b"demo/whisper-1")]);
        let form = Form::scan(Some(&kind("b1")), &sent).unwrap();
        assert_eq!(form.rewrite(&sent, "demo/whisper-1").as_ptr(), sent.as_ptr(), "not even copied");
        assert_eq!(form.rewrite(&sent, "whisper-1"), body(&[FILE, ("name=\"model\"", b"whisper-1")]));
    }

    #[test]
    fn a_form_that_two_readers_could_read_differently_is_refused() {
        let model: (&str, &[u8]) = ("name=\"model\"", b"m");
        for (sent, message) in [
            (body(&[FILE]), "`model` is missing"),
            (body(&[("name=\"model\"", b"")]), "`model` must be a non-empty string"),
            (body(&[model, model]), "`model` is given twice"),
            (body(&[("name=\"x\"; name=\"model\"", b"m")]), "a field has no name"),
            (body(&[model, ("name*=utf-8''model", b"m")]), "a field has no name"),
            (body(&[("nothing", b"m")]), "a field has no name"),
            (body(&[model]).slice(..40), "a field has no content"),
            (body(&[model]).slice(..body(&[model]).len() - 9), "its last boundary is missing"),
            (Bytes::from_static(b"--b2\r\n"), "its boundary does not occur"),
        ] {
            let error = Form::scan(Some(&kind("b1")), &sent).unwrap_err().to_string();
            assert!(error.contains(message), "{error}: {sent:?}");
        }
        let json = HeaderValue::from_static("application/json");
        assert!(Form::scan(Some(&json), b"{}").is_err() && Form::scan(None, b"{}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cut in 0_usize..400) {
            let _ = Form::scan(Some(&kind("b1")), &bytes);
            let whole = body(&[FILE, ("name=\"model\"", b"m")]);
            let _ = Form::scan(Some(&kind("b1")), &whole[..cut.min(whole.len())]);
        }
    }
}
