//! The vector database that the configuration names, reached by a client of the control runtime's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use peerway_cache::Clock;
use peerway_cache::transport::{MAX_ANSWER, Transport, TransportError};
use peerway_cache::vector_store::{Connection, Limits, VectorDatabase};

use super::ServeError;
use super::embeddings::causes;
use crate::config::{self, Http2, Secret, VectorsKind};
use crate::provider::{Client, ClientFactory, Way};

/// To an open connection.
const CONNECT: Duration = Duration::from_secs(3);

/// None: the nodes keep the vectors themselves.
pub(super) fn database(settings: &config::Vectors) -> Result<Option<Arc<VectorDatabase>>, ServeError> {
    let limits = Limits { deadline: settings.deadline.get(), ..Limits::default() };
    let connection = || {
        let key = settings.api_key.as_ref().map(Secret::expose);
        Connection::new(settings.url.as_deref().unwrap_or_default(), key, &settings.collection)
            .map_err(|error| ServeError::Vectors(error.to_string()))
    };
    let database = match settings.kind {
        VectorsKind::Peer => return Ok(None),
        VectorsKind::Qdrant => qdrant(connection()?, limits)?,
        VectorsKind::Weaviate => VectorDatabase::weaviate(connection()?, Web::transport()?, limits, Clock::system()),
        VectorsKind::Pinecone => VectorDatabase::pinecone(connection()?, Web::transport()?, limits, Clock::system()),
    };
    Ok(Some(Arc::new(database)))
}

#[cfg(feature = "qdrant")]
fn qdrant(connection: Connection, limits: Limits) -> Result<VectorDatabase, ServeError> {
    Ok(VectorDatabase::qdrant(connection, limits, Clock::system()))
}

#[cfg(not(feature = "qdrant"))]
fn qdrant(_: Connection, _: Limits) -> Result<VectorDatabase, ServeError> {
    Err(ServeError::Vectors("this program was built without the feature qdrant".to_owned()))
}

/// Carries requests to the operator's own services: private addresses are allowed, those of the machine's own network where
/// no service is are not, and redirects are answers like others.
#[derive(Debug)]
struct Web(Client);

impl Web {
    fn transport() -> Result<Arc<dyn Transport>, ServeError> {
        let factory = ClientFactory::new().map_err(|error| ServeError::Vectors(error.to_string()))?;
        let way = Way { connect: CONNECT, allow_private: true, proxy: None, http2: Http2::Auto };
        Ok(Arc::new(Web(factory.client(&way))))
    }
}

#[async_trait]
impl Transport for Web {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let failed = |error: &dyn std::error::Error| TransportError { reason: causes(error) };
        let answer = self.0.request(request.map(Full::new)).await.map_err(|error| failed(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| TransportError { reason: error.to_string() })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
