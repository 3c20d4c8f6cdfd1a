//! One id a request: the client's if it sent a sane one, else ours; always answered in both headers SDKs look at.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

pub static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LONGEST: usize = 128;

/// Makes ids that no other process makes: a random prefix a process, then a counter.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new(prefix: u64) -> Self {
        Self { prefix, next: AtomicU64::new(0) }
    }

    /// The client's `x-request-id` if it is short and printable, else a fresh one.
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        headers.get(&X_REQUEST_ID).filter(|id| is_sane(id.as_bytes())).cloned().unwrap_or_else(|| self.fresh())
    }

    /// One that nobody has sent.
    pub fn fresh(&self) -> HeaderValue {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut rest = u128::from(self.prefix) << 64 | u128::from(count);
        let mut id = [0u8; 32];
        for digit in id.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }
}

fn is_sane(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= LONGEST && id.iter().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_clients_id_unless_it_is_odd() {
        let ids = RequestIds::new(0xabc);
        let mut headers = HeaderMap::new();
        headers.insert(&X_REQUEST_ID, HeaderValue::from_static("mine-1"));
        assert_eq!(ids.of(&headers), "mine-1");
        headers.insert(&X_REQUEST_ID, HeaderValue::from_static("with space"));
        assert_eq!(ids.of(&headers), "0000000000000abc0000000000000000");
        assert_eq!(ids.of(&HeaderMap::new()), "0000000000000abc0000000000000001");
    }
}
