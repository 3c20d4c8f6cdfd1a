//! The routes that show and change the simulation itself; they need no key and leave no trace in the bill or the record.

use http::request::Parts;
use http::{Method, Response};
use serde_json::json;

use crate::bill;
use crate::body::Body;
use crate::call;
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::record;
use crate::rule;
use crate::server::Worker;

const LARGEST_RULES: usize = 1 << 20;
const REQUESTS_SHOWN: usize = 100;

/// The answer, where the path is one of these routes.
pub(crate) fn answer(worker: &Worker, parts: &Parts, body: &[u8]) -> Option<Response<Body>> {
    let path = parts.uri.path();
    let outcome = match (path, &parts.method) {
        ("/bill", &Method::GET) => serde_json::to_string(&bill::total(worker.shared.bills.iter().map(|bill| &**bill)))
            .map_err(|error| ApiError::invalid(error.to_string(), None, None)),
        ("/requests", &Method::GET) => requests(worker, parts.uri.query()),
        ("/faults", &Method::GET) => Ok(faults(worker)),
        ("/faults", &Method::POST) => set_faults(worker, body),
        ("/reset", &Method::POST) => Ok(reset(worker)),
        ("/bill" | "/requests" | "/faults" | "/reset", method) => Err(ApiError::no_such_method(method, path)),
        _ => return None,
    };
    Some(match outcome {
        Ok(text) => call::json(worker, Dialect::OpenAi, text.into()),
        Err(error) => call::refusal(worker, Dialect::OpenAi, &error),
    })
}

fn requests(worker: &Worker, query: Option<&str>) -> Result<String, ApiError> {
    let last = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("last="));
    let count = match last {
        None => REQUESTS_SHOWN,
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::invalid(format!("last: `{text}` is not a number"), Some("last"), None))?,
    };
    let shown = record::last(worker.shared.recorders.iter().map(|recorder| &**recorder), count);
    Ok(json!({ "requests": shown }).to_string())
}

fn faults(worker: &Worker) -> String {
    json!({ "faults": worker.shared.faults.show() }).to_string()
}

fn set_faults(worker: &Worker, body: &[u8]) -> Result<String, ApiError> {
    if body.len() > LARGEST_RULES {
        return Err(ApiError::too_large(LARGEST_RULES));
    }
    let text =
        std::str::from_utf8(body).map_err(|error| ApiError::invalid(format!("not UTF-8: {error}"), None, None))?;
    let rules =
        rule::parse_rules(text).map_err(|error| ApiError::invalid(error.to_string(), None, Some("invalid_fault")))?;
    worker.shared.faults.replace(rules);
    Ok(faults(worker))
}

/// Bill, record and prompt cache empty, the rules as they were at the start.
fn reset(worker: &Worker) -> String {
    worker.shared.bills.iter().for_each(|bill| bill.zero());
    worker.shared.recorders.iter().for_each(|recorder| recorder.clear());
    worker.shared.prompt_cache.clear();
    worker.shared.faults.replace(worker.shared.options.faults.clone());
    faults(worker)
}
