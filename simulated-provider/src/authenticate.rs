//! Who asks: the key of any header that a dialect takes it in, or the access key id of a signature.

use http::request::Parts;

use crate::bill::key_label;
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::options::Options;
use crate::sigv4;

/// The key, checked where keys are known. A request may come without one where none is.
pub(crate) fn key<'a>(options: &Options, dialect: Dialect, parts: &'a Parts, body: &[u8]) -> Result<&'a str, ApiError> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").unwrap_or_default();
    if authorization.starts_with(sigv4::ALGORITHM) {
        return signed(options, parts, authorization, body);
    }
    let own_name = match dialect {
        Dialect::OpenAi => "api-key",
        Dialect::Anthropic => "x-api-key",
        Dialect::Gemini => "x-goog-api-key",
        Dialect::Bedrock | Dialect::Cohere => "",
    };
    let bearer = authorization.strip_prefix("Bearer ").map(str::trim);
    let in_query = || {
        let query = parts.uri.query().filter(|_| dialect == Dialect::Gemini)?;
        query.split('&').find_map(|pair| pair.strip_prefix("key="))
    };
    let own = Some(own_name).filter(|name| !name.is_empty()).and_then(header);
    let key = bearer.or(own).or_else(in_query).unwrap_or_default();
    if options.keys.is_empty() || options.keys.iter().any(|known| known == key) {
        Ok(key)
    } else if key.is_empty() {
        Err(ApiError::no_key())
    } else {
        Err(ApiError::wrong_key(&key_label(key)))
    }
}

fn signed<'a>(options: &Options, parts: &'a Parts, authorization: &'a str, body: &[u8]) -> Result<&'a str, ApiError> {
    let Some(signature) = sigv4::Signature::read(authorization) else {
        return Err(ApiError::bad_signature(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
        ));
    };
    let id = signature.access_key_id;
    match options.aws_keys.iter().find(|(known, _)| known == id) {
        Some((_, secret)) if signature.fits(secret, parts, body) => Ok(id),
        Some(_) => Err(ApiError::bad_signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
        )),
        // Without any secret there is nothing to check a signature with.
        None if options.aws_keys.is_empty()
            && (options.keys.is_empty() || options.keys.iter().any(|key| key == id)) =>
        {
            Ok(id)
        }
        None => Err(ApiError::wrong_key(&key_label(id))),
    }
}
