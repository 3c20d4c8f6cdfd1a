//! Vectors from a service that speaks OpenAI's `/v1/embeddings`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Model, unit};
use crate::transport::Transport;

/// More numbers in a vector than any model gives.
const MOST_DIMENSIONS: usize = 16_384;
/// How much of a refusal is told.
const MAX_REASON: usize = 200;
/// A service that fails is left alone this long, and twice as long each time up to the other.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// A model at a service.
#[derive(Debug)]
pub struct OpenAi {
    transport: Arc<dyn Transport>,
    model: String,
    dimensions: Option<u32>,
    deadline: Duration,
    space: String,
    /// The last failure, if nothing went well since.
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Debug, Clone)]
struct Trouble {
    reason: String,
    pause: Duration,
    until: Instant,
}

/// Why a call gave no vectors.
enum Failure {
    /// The service does not take these texts.
    Refused(String),
    /// It would not take others either.
    Down(String),
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [Arc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Answered {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl OpenAi {
    /// `transport` knows where the service is and shows it a key: what it gets is a `POST` of JSON to `/embeddings`.
    /// `service` names it in errors and in the vector space. `dimensions` shortens the vectors of models that can; a
    /// call takes no longer than `deadline`.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        service: &str,
        model: &str,
        dimensions: Option<u32>,
        deadline: Duration,
    ) -> Self {
        let short = dimensions.map_or_else(String::new, |dimensions| format!("/{dimensions}"));
        let space = format!("openai:{service}/{model}{short}");
        Self { transport, model: model.to_owned(), dimensions, deadline, space, trouble: Mutex::default() }
    }

    async fn call(&self, texts: &[Arc<str>]) -> Result<Vec<Arc<[f32]>>, Failure> {
        let asked = Asked { model: &self.model, input: texts, dimensions: self.dimensions };
        let body = serde_json::to_vec(&asked).map_err(|error| Failure::Refused(error.to_string()))?;
        let request = Request::post("/embeddings")
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| Failure::Down(error.to_string()))?;
        let answer = tokio::time::timeout(self.deadline, self.transport.send(request))
            .await
            .map_err(|_| Failure::Down(format!("no answer within {:?}", self.deadline)))?
            .map_err(|error| Failure::Down(error.reason))?;
        if answer.status() != StatusCode::OK {
            let text = String::from_utf8_lossy(answer.body());
            let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_REASON).collect();
            let reason = format!("the service answered {}: {text}", answer.status().as_u16());
            return Err(match answer.status() {
                StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                    Failure::Refused(reason)
                }
                _ => Failure::Down(reason),
            });
        }
        read(answer.body(), texts.len(), self.dimensions).map_err(Failure::Down)
    }

    /// The reason of a failure that is so fresh that nobody asks again.
    fn paused(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().filter(|trouble| Instant::now() < trouble.until).map(|trouble| trouble.reason.clone())
    }

    fn well(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn down(&self, reason: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Calls that fail together count once.
        let pause = match &*trouble {
            Some(last) if now < last.until => last.pause,
            Some(last) => (last.pause * 2).min(LAST_PAUSE),
            None => FIRST_PAUSE,
        };
        *trouble = Some(Trouble { reason, pause, until: now + pause });
    }
}

#[async_trait]
impl Model for OpenAi {
    fn space(&self) -> &str {
        &self.space
    }

    async fn vectors(&self, texts: &[Arc<str>]) -> Vec<Result<Arc<[f32]>, String>> {
        let mut told = Vec::with_capacity(texts.len());
        // What is refused together is asked in halves, so that one text fails nobody but its own.
        let mut parts = vec![texts];
        while let Some(part) = parts.pop() {
            if let Some(reason) = self.paused() {
                told.extend(part.iter().map(|_| Err(format!("not asked again yet after: {reason}"))));
                continue;
            }
            match self.call(part).await {
                Ok(vectors) => {
                    self.well();
                    told.extend(vectors.into_iter().map(Ok));
                }
                Err(Failure::Refused(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(Failure::Refused(reason)) => {
                    self.well();
                    told.push(Err(reason));
                }
                Err(Failure::Down(reason)) => {
                    told.extend(part.iter().map(|_| Err(reason.clone())));
                    self.down(reason);
                }
            }
        }
        told
    }
}

/// The vectors of an answer, in the order of the texts.
fn read(body: &[u8], count: usize, dimensions: Option<u32>) -> Result<Vec<Arc<[f32]>>, String> {
    let answered: Answered =
        serde_json::from_slice(body).map_err(|error| format!("the answer is not a list of vectors: {error}"))?;
    let given = answered.data.len();
    if given != count {
        return Err(format!("the answer has {given} vectors for {count} texts"));
    }
    let mut placed: Vec<Option<Arc<[f32]>>> = vec![None; count];
    let mut length = dimensions.map(|dimensions| dimensions as usize);
    for (place, item) in answered.data.into_iter().enumerate() {
        let found = item.embedding.len();
        let expected = *length.get_or_insert(found);
        if found != expected || found == 0 || found > MOST_DIMENSIONS {
            return Err(format!("the answer has a vector of {found} numbers where {expected} are expected"));
        }
        let vector = unit(item.embedding).ok_or("the answer has a vector without a direction")?;
        let index = item.index.unwrap_or(place);
        match placed.get_mut(index) {
            Some(free @ None) => *free = Some(vector),
            _ => return Err(format!("the answer names the text {index} twice or has no such text")),
        }
    }
    placed.into_iter().collect::<Option<_>>().ok_or_else(|| "the answer lacks a vector".to_owned())
}
