//! Access tokens for a service account: fetched once for all who wait, renewed in the background before they end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::client::Client;
use super::credential::bearer;
use super::service_account::ServiceAccount;

const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
const MAX_ANSWER: usize = 64 << 10;
const MAX_REASON: usize = 200;
const WITHIN: Duration = Duration::from_secs(10);
/// How long before its end a token is renewed, if its life is not too short for that.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// A token that ends while a request is on its way to the provider would be refused there.
const SLACK: Duration = Duration::from_secs(10);
/// Longer lives are not believed: a token that was withdrawn must not be shown for ever.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// After a failure nobody asks for this long: a refused account must not be asked about with every request.
const COOL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    #[error("no access token for the service account: {0}")]
    Sign(String),
    #[error("no access token for the service account: the token endpoint cannot be reached ({0})")]
    Unreachable(String),
    #[error("no access token for the service account: the token endpoint did not answer within {WITHIN:?}")]
    Late,
    #[error("no access token for the service account: the token endpoint answered {status}{reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("no access token for the service account: the token endpoint's answer holds none")]
    Malformed,
}

impl TokenError {
    /// Whether it is the account that gets no token, as opposed to nobody.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Sign(_) => true,
            Self::Refused { status, .. } => status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable(_) | Self::Late | Self::Malformed => false,
        }
    }
}

pub(super) struct TokenSource {
    account: ServiceAccount,
    url: Uri,
    client: Client,
    current: ArcSwapOption<Token>,
    /// Held by the one that fetches. The last failure, for those who waited meanwhile.
    fetching: Arc<Mutex<Option<(Instant, TokenError)>>>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("account", &self.account).finish_non_exhaustive()
    }
}

struct Token {
    header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

type Fetching = OwnedMutexGuard<Option<(Instant, TokenError)>>;

impl TokenSource {
    pub(super) fn new(account: ServiceAccount, url: Uri, client: Client) -> Self {
        Self { account, url, client, current: ArcSwapOption::empty(), fetching: Arc::default() }
    }

    /// A token that holds a while yet, as an `authorization` header's value.
    pub(super) async fn token(self: &Arc<Self>) -> Result<HeaderValue, TokenError> {
        if let Some(token) = self.ready() {
            return Ok(token);
        }
        let mut fetching = Arc::clone(&self.fetching).lock_owned().await;
        if let Some(token) = self.ready() {
            return Ok(token);
        }
        // A task of its own: whoever asks may go away, and then the next one would begin anew, and go away too.
        let source = Arc::clone(self);
        let fetch = tokio::spawn(async move { source.fetch(&mut fetching).await });
        fetch.await.unwrap_or_else(|error| Err(TokenError::Unreachable(error.to_string())))
    }

    /// The provider has refused the token in hand, whatever its end was said to be.
    pub(super) fn refused(&self) {
        self.current.store(None);
    }

    /// The token in hand. Near its end a new one is fetched by somebody for whom nobody waits.
    fn ready(self: &Arc<Self>) -> Option<HeaderValue> {
        let now = Instant::now();
        let token = self.current.load();
        let token = token.as_ref().filter(|token| now < token.ends_at)?;
        if now >= token.renew_at
            && let Ok(mut fetching) = Arc::clone(&self.fetching).try_lock_owned()
            && just_failed(&fetching).is_none()
        {
            let source = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = source.fetch(&mut fetching).await {
                    tracing::warn!(%error, "the access token in use ends soon");
                }
            });
        }
        Some(token.header.clone())
    }

    async fn fetch(&self, fetching: &mut Fetching) -> Result<HeaderValue, TokenError> {
        if let Some(error) = just_failed(fetching) {
            return Err(error.clone());
        }
        let asked = Instant::now();
        match tokio::time::timeout(WITHIN, self.ask()).await.unwrap_or(Err(TokenError::Late)) {
            Ok((header, lifetime)) => {
                let lifetime = lifetime.min(LONGEST_LIFE);
                let ends_at = asked + lifetime.saturating_sub(SLACK);
                let renew_at = ends_at - RENEW_BEFORE.min(lifetime / 4);
                self.current.store(Some(Arc::new(Token { header: header.clone(), renew_at, ends_at })));
                **fetching = None;
                Ok(header)
            }
            Err(error) => {
                **fetching = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<(HeaderValue, Duration), TokenError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let assertion = self.account.assertion(now).map_err(|error| TokenError::Sign(error.to_string()))?;
        let mut request = Request::new(Full::new(Bytes::from(format!("{GRANT}{assertion}"))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let unreachable = |error: &(dyn std::error::Error + 'static)| TokenError::Unreachable(root_cause(error));
        let response = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| unreachable(&*error))?.to_bytes();
        if head.status != StatusCode::OK {
            return Err(TokenError::Refused { status: head.status, reason: reason(&body) });
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| TokenError::Malformed)?;
        let header = bearer(&answer.access_token).map_err(|_| TokenError::Malformed)?;
        Ok((header, Duration::from_secs(answer.expires_in.unwrap_or(3600))))
    }
}

/// The failure after which nobody asks for a moment.
fn just_failed(fetching: &Fetching) -> Option<&TokenError> {
    (**fetching).as_ref().filter(|(at, _)| at.elapsed() < COOL).map(|(_, error)| error)
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

/// What the endpoint says of a refusal (RFC 6749, 5.2), in so many words and no more.
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        error_description: Option<String>,
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else { return String::new() };
    let said = match refusal.error_description {
        Some(description) => format!(": {} ({description})", refusal.error),
        None => format!(": {}", refusal.error),
    };
    said.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
