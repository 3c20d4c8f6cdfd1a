//! The first look at every request, and the last at every answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::ServiceExt;
use tower::util::Oneshot;

use super::edge::Edge;
use super::error::ApiError;
use super::error_form::ErrorForm;
use super::framing::{MAX_HEADERS, Refusal};
use super::head;
use super::pace::Paced;
use super::request_id::{REQUEST_ID, X_REQUEST_ID};
use super::standing::Standing;

/// Pieces of answers over HTTP/2 are at most this large: what was handed over is held until the client wants it.
const PIECE: usize = 64 << 10;

/// The service of one connection.
#[derive(Debug, Clone)]
pub(super) struct Front {
    router: Router,
    standing: Arc<Standing>,
    edge: Arc<Edge>,
}

impl Front {
    pub(super) fn new(router: Router, standing: Arc<Standing>, edge: Arc<Edge>) -> Self {
        Self { router, standing, edge }
    }

    fn refusal(&self, request: &Request<Incoming>) -> Option<ApiError> {
        if request.headers().len() > MAX_HEADERS {
            return Some(ApiError::Malformed(Refusal::TooLarge));
        }
        if let Err(refusal) = head::check(request, self.edge.paths) {
            return Some(ApiError::Head(refusal));
        }
        head::expects_too_much(request.headers()).then_some(ApiError::Expectation)
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let active = Active::begin(&self.standing, request.version() == Version::HTTP_2);
        if let Some(error) = self.refusal(&request) {
            let id = self.edge.request_ids.of(request.headers());
            let mut response = error.response(ErrorForm::of_path(request.uri().path()), &id);
            // What is wrong with this head may be wrong with what follows it.
            if request.version() < Version::HTTP_2 {
                response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            return Answering::Refused { answer: Some(Answer::of(response, active)) };
        }
        head::strip_hop_by_hop(request.headers_mut());
        let pace = self.edge.pace;
        let request = request.map(|body| Body::new(Paced::new(body, pace)));
        Answering::Routed {
            response: self.router.clone().oneshot(request),
            active: Some(active),
            edge: Arc::clone(&self.edge),
        }
    }
}

pin_project_lite::pin_project! {
    #[project = Step]
    pub(super) enum Answering {
        Refused { answer: Option<Response<Answer>> },
        Routed {
            #[pin]
            response: Oneshot<Router, Request<Body>>,
            active: Option<Active>,
            edge: Arc<Edge>,
        },
    }
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Step::Refused { answer } => answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Step::Routed { response, active, edge } => {
                let Ok(mut response) = ready!(response.poll(context));
                let Some(active) = active.take() else { return Poll::Pending };
                if !response.headers().contains_key(&REQUEST_ID) {
                    let id = edge.request_ids.fresh();
                    response.headers_mut().insert(&X_REQUEST_ID, id.clone());
                    response.headers_mut().insert(&REQUEST_ID, id);
                }
                Poll::Ready(Ok(Answer::of(response, active)))
            }
        }
    }
}

/// A request that is in progress, until dropped.
pub(super) struct Active {
    standing: Arc<Standing>,
    /// Of HTTP/2.
    began: Option<Instant>,
    finished: bool,
}

impl Active {
    fn begin(standing: &Arc<Standing>, is_h2: bool) -> Self {
        Self { began: standing.request_began(is_h2), standing: Arc::clone(standing), finished: false }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.standing.request_ended(self.began.filter(|_| !self.finished));
    }
}

/// An answer's body on its way to the client.
pub(super) struct Answer {
    body: Body,
    /// Of a piece that is too large to be handed over at once.
    rest: Bytes,
    /// A piece was handed over, and no more has been asked for.
    waits: bool,
    active: Active,
}

impl Answer {
    fn of(response: Response<Body>, active: Active) -> Response<Self> {
        response.map(|body| Self { body, rest: Bytes::new(), waits: false, active })
    }

    fn taken(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.active.standing.piece_taken();
        }
    }

    /// Of HTTP/2 only: of HTTP/1 the socket tells who does not read.
    fn handed_over(&mut self, mut piece: Bytes) -> Bytes {
        if self.active.began.is_some() {
            if piece.len() > PIECE {
                self.rest = piece.split_off(PIECE);
            }
            self.waits = true;
            self.active.standing.piece_handed_over();
        }
        piece
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let answer = &mut *self;
        answer.taken();
        if !answer.rest.is_empty() {
            let rest = std::mem::take(&mut answer.rest);
            return Poll::Ready(Some(Ok(Frame::data(answer.handed_over(rest)))));
        }
        let Some(frame) = ready!(Pin::new(&mut answer.body).poll_frame(context)) else {
            answer.active.finished = true;
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
            Ok(piece) => Frame::data(answer.handed_over(piece)),
            Err(frame) => frame,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.taken();
        self.active.finished |= http_body::Body::is_end_stream(self);
    }
}
