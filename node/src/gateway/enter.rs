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
    let (admitted, body) = gateway.admission.take(key.as_deref(), headers, body, plan.body).await?;
    exchange.admitted = Some(admitted);
    Ok((key, body))
}
