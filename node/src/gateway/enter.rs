//! A request comes in: who asks, whether the node has room, and its body.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;

use super::Exchange;
use super::authenticate::authenticate;
use super::plan::Plan;
use crate::governance::VirtualKey;
use crate::http::body;
use crate::http::error::ApiError;

/// The key and the whole body of a request that is let in; `exchange` holds its place until it ends.
pub(super) async fn enter(
    exchange: &mut Exchange,
    plan: &Plan,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Option<Arc<VirtualKey>>, Bytes), ApiError> {
    let gateway = Arc::clone(&exchange.worker().gateway);
    let key = match authenticate(plan, &gateway.access.load(), headers) {
        Ok(key) => key,
        Err(error) => {
            // With its body unread the connection would be closed under the client's next request.
            body::discard(body).await;
            return Err(error);
        }
    };
    exchange.set_key(key.clone());
    match gateway.admission.enter(key.as_deref()).await {
        Ok(admitted) => {
            let held = &mut exchange.admitted.insert(admitted).held;
            let body = gateway.admission.counted(body::read(headers, body, plan.body, held).await)?;
            Ok((key, body))
        }
        Err(error) => {
            body::discard_briefly(body).await;
            Err(error)
        }
    }
}
