//! Who asks. Closed by default: without a known virtual key nothing is served unless the operator said so.

use std::sync::Arc;

use http::HeaderMap;

use super::plan::{KeyMissing, Plan, VirtualKey};
use crate::http::error::ApiError;

/// The key of the request, or `None` where keys are not required and none was sent.
pub(super) fn authenticate(plan: &Plan, headers: &HeaderMap) -> Result<Option<Arc<VirtualKey>>, ApiError> {
    match plan.key_of(headers) {
        Ok(key) => Ok(Some(key)),
        // SDKs insist on sending some key, so with open access an unknown one is as good as none.
        Err(_) if !plan.require_key => Ok(None),
        Err(KeyMissing::NotSent) => Err(ApiError::NoKey),
        Err(KeyMissing::Unknown) => Err(ApiError::UnknownKey),
    }
}
