//! Forms of the type `multipart/form-data` (RFC 7578), read as far as uploads of clients need it.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::error::ApiError;

/// A field of a form.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) content: &'a [u8],
}

#[derive(Debug)]
pub(crate) struct Form<'a>(pub(crate) Vec<Field<'a>>);

impl<'a> Form<'a> {
    pub(crate) fn read(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, ApiError> {
        let wrong = |message: &str| ApiError::invalid(format!("Could not parse multipart form: {message}"), None, None);
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = kind
            .strip_prefix("multipart/form-data")
            .and_then(|parameters| parameters.split(';').find_map(|part| part.trim().strip_prefix("boundary=")))
            .ok_or_else(|| wrong("the content type is not multipart/form-data with a boundary"))?;
        let delimiter = format!("--{}", boundary.trim_matches('"'));
        let mut rest = body.strip_prefix(delimiter.as_bytes()).ok_or_else(|| wrong("no boundary at the beginning"))?;
        let delimiter = format!("\r\n{delimiter}");
        let mut fields = Vec::new();
        loop {
            if rest.starts_with(b"--") {
                return Ok(Self(fields));
            }
            let head_end = find(rest, b"\r\n\r\n").ok_or_else(|| wrong("a field without an end of its headers"))?;
            let head = std::str::from_utf8(&rest[..head_end]).map_err(|_| wrong("headers that are not text"))?;
            let content = &rest[head_end + 4..];
            let end = find(content, delimiter.as_bytes()).ok_or_else(|| wrong("no boundary at the end"))?;
            let name = parameter(head, "name").ok_or_else(|| wrong("a field without a name"))?;
            fields.push(Field { name, file_name: parameter(head, "filename"), content: &content[..end] });
            rest = &content[end + delimiter.len()..];
        }
    }

    /// The text of a field, where it is there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(|field| std::str::from_utf8(field.content).ok())
    }

    /// A field, also where it is sent as one of a list.
    pub(crate) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|field| field.name == name || field.name.strip_suffix("[]") == Some(name))
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A parameter of the `content-disposition` header.
fn parameter(head: &str, name: &str) -> Option<String> {
    let is_disposition =
        |line: &&str| line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"));
    let line = head.split("\r\n").find(is_disposition)?;
    let value = line.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "multipart/form-data; boundary=\"b\"".parse().unwrap());
        let body = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\necho\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\n\x00\xff\r\n\r\n--b--\r\n";
        let form = Form::read(&headers, body).unwrap();
        assert_eq!(form.text("model"), Some("echo"));
        let file = form.field("file").unwrap();
        assert_eq!((file.file_name.as_deref(), file.content), (Some("a.wav"), &b"\x00\xff\r\n"[..]));
        assert!(Form::read(&headers, b"--b\r\n").is_err());
        assert!(Form::read(&headers, b"--b\r\nx: y\r\n\r\n").is_err());
    }
}
