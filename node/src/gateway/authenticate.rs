//! Who asks. Closed by default: without a known virtual key nothing is served unless the operator said so.

use std::sync::Arc;

use http::HeaderMap;

use super::plan::Plan;
use crate::governance::{Access, KeyMissing, VirtualKey};
use crate::http::error::ApiError;

/// The key of the request, or `None` where keys are not required and none was sent.
pub(super) fn authenticate(
    plan: &Plan,
    access: &Access,
    headers: &HeaderMap,
) -> Result<Option<Arc<VirtualKey>>, ApiError> {
    match access.key_of(headers) {
        Ok(key) => Ok(Some(key)),
        // Whoever was shut out is not let in as nobody.
        Err(KeyMissing::Unusable(why)) => Err(ApiError::UnusableKey(why)),
        // SDKs insist on sending some key, so with open access an unknown one is as good as none.
        Err(_) if !plan.require_key => Ok(None),
        Err(KeyMissing::NotSent) => Err(ApiError::NoKey),
        Err(KeyMissing::Unknown) => Err(ApiError::UnknownKey),
    }
}
