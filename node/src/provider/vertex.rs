//! Claude at Vertex: Anthropic's messages, but that the path names the model and the body the version.

use bytes::Bytes;

use crate::dialect::json;

const VERSION: &str = r#""anthropic_version":"vertex-2023-10-16""#;

/// The body without its `model`, with the version in front; everything else is as it was. `None`: it is no object.
pub(super) fn messages_body(body: &[u8]) -> Option<Bytes> {
    let mut out = Vec::with_capacity(body.len() + VERSION.len() + 2);
    out.push(b'{');
    out.extend_from_slice(VERSION.as_bytes());
    json::members(body, 0..body.len(), |name, value| {
        if name != "model" && name != "anthropic_version" {
            out.push(b',');
            // A name's escapes are not kept: no field of the dialect has any.
            out.extend_from_slice(serde_json::Value::from(&*name).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(&body[value.range]);
        }
        Ok(())
    })
    .ok()?;
    out.push(b'}');
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_model_and_version_are_touched() {
        let body = br#" {"model":"claude-x", "max_tokens":1,"messages":[{"role":"user","content":"a \u0041"}]} "#;
        let expected = r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":1,"messages":[{"role":"user","content":"a \u0041"}]}"#;
        assert_eq!(messages_body(body).as_deref(), Some(expected.as_bytes()));
        assert_eq!(messages_body(b"{}").as_deref(), Some(format!("{{{VERSION}}}").as_bytes()));
        assert_eq!(messages_body(b"[]"), None);
        assert_eq!(messages_body(b""), None);
    }
}
