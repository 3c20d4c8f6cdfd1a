//! Whose signature a client's request carries.

use super::ALGORITHM;

/// What an `Authorization` header of this algorithm says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Whose signature it is. Where a virtual key stands in for AWS credentials, it stands here.
    pub access_key_id: &'a str,
    /// `20150830`.
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

/// Reads an `Authorization` header; `None` if it is not of this algorithm or misses a part.
pub fn parse_authorization(header: &str) -> Option<Presented<'_>> {
    let rest = header.trim().strip_prefix(ALGORITHM)?;
    let rest = rest.strip_prefix([' ', '\t'])?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in rest.split(',') {
        let (name, value) = field.trim().split_once('=')?;
        let place = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return None,
        };
        if value.is_empty() || place.replace(value).is_some() {
            return None;
        }
    }
    // From the end: a key id may hold slashes, as those of other systems that stand in for it do.
    let mut parts = credential?.rsplitn(5, '/');
    (parts.next()? == "aws4_request").then_some(())?;
    let (service, region, date, access_key_id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = !access_key_id.is_empty() && date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    whole.then_some(Presented {
        access_key_id,
        date,
        region,
        service,
        signed_headers: signed_headers?,
        signature: signature?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_access_key_id() {
        let tight = "AWS4-HMAC-SHA256 Credential=pk/a/b/20261121/us-east-1/bedrock/aws4_request,SignedHeaders=host,Signature=ab";
        let read = parse_authorization(tight).unwrap();
        assert_eq!((read.access_key_id, read.service, read.signature), ("pk/a/b", "bedrock", "ab"));
        for not in [
            "Bearer AKID",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/bedrock/aws4_request",
            "AWS4-HMAC-SHA256 Credential=/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab",
            "AWS4-HMAC-SHA256 Credential=AKID/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab",
            "AWS4-HMAC-SHA256 Credential=A/20261121/r/s/aws4_request, Credential=B/20261121/r/s/aws4_request, SignedHeaders=h, Signature=a",
            "AWS4-HMAC-SHA512 Credential=AKID/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab",
        ] {
            assert_eq!(parse_authorization(not), None, "{not}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_header_is_read_or_refused(header in ".{0,80}", tail in "(Credential|Signature|=|,|/| |[0-9]{8}|aws4_request|a){0,12}") {
            let _ = parse_authorization(&header);
            let _ = parse_authorization(&format!("{ALGORITHM} {tail}"));
        }
    }
}
