//! Where a provider's endpoints are.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use http::uri::InvalidUri;
use peerway_dialect::gemini::{Call, Method};
use peerway_dialect::{Dialect, bedrock};

use super::endpoint::{Endpoint, Fixed};
use crate::config::{Provider, ProviderKind};

/// The newest dated version that is not a preview.
const AZURE_API_VERSION: &str = "2024-10-21";

/// The endpoints of one provider. URLs without a model in them are made once.
#[derive(Debug)]
pub(super) struct Site {
    /// Without a `/` at its end.
    base: String,
    fixed: Vec<Uri>,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Plain,
    Azure { api_version: String, deployments: BTreeMap<String, Arc<str>> },
    Vertex,
}

impl Site {
    /// `base` has been checked; it is the resource at Azure, and the location at Vertex.
    pub(super) fn new(provider: &Provider, base: &str) -> Result<Self, InvalidUri> {
        let base = base.trim_end_matches('/').to_owned();
        let layout = match provider.kind {
            ProviderKind::Azure => Layout::Azure {
                api_version: provider.api_version.clone().unwrap_or_else(|| AZURE_API_VERSION.to_owned()),
                deployments: provider
                    .deployments
                    .iter()
                    .map(|(model, deployment)| (model.clone(), deployment.as_str().into()))
                    .collect(),
            },
            ProviderKind::Vertex => Layout::Vertex,
            _ => Layout::Plain,
        };
        let fixed = Fixed::ALL
            .iter()
            .map(|endpoint| match (&layout, endpoint) {
                (Layout::Azure { .. }, endpoint) => format!("{base}/openai/v1/{}", endpoint.path()).parse(),
                (Layout::Vertex, endpoint) => format!("{base}/endpoints/openapi/{}", endpoint.path()).parse(),
                (Layout::Plain, endpoint) => format!("{base}/{}", endpoint.path()).parse(),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { base, fixed, layout })
    }

    /// The name by which the provider knows a model.
    pub(super) fn model<'a>(&'a self, model: &'a str) -> &'a str {
        match &self.layout {
            Layout::Azure { deployments, .. } => deployments.get(model).map_or(model, |deployment| deployment),
            _ => model,
        }
    }

    /// `None`: the model's name cannot be a part of a path.
    pub(super) fn url(&self, endpoint: Endpoint, model: &str, stream: bool) -> Option<Uri> {
        let base = &self.base;
        let fixed = |endpoint: Fixed| self.fixed.get(endpoint as usize).cloned();
        let url = match (&self.layout, endpoint) {
            (Layout::Plain, Endpoint::Fixed(endpoint)) => return fixed(endpoint),
            (Layout::Azure { .. }, Endpoint::Fixed(Fixed::Responses)) => return fixed(Fixed::Responses),
            (Layout::Azure { api_version, .. }, Endpoint::Fixed(endpoint)) => {
                let deployment = segment(self.model(model))?;
                let path = endpoint.path();
                format!("{base}/openai/deployments/{deployment}/{path}?api-version={api_version}")
            }
            (Layout::Vertex, Endpoint::Fixed(Fixed::Messages)) => {
                let method = if stream { "streamRawPredict" } else { "rawPredict" };
                // Google names versions as `model@version`, and reads it as it is.
                let model = segment(model)?.replace("%40", "@");
                format!("{base}/publishers/anthropic/models/{model}:{method}")
            }
            (Layout::Vertex, Endpoint::Fixed(Fixed::CountTokens)) => {
                format!("{base}/publishers/anthropic/models/count-tokens:rawPredict")
            }
            (Layout::Vertex, Endpoint::Fixed(endpoint)) => return fixed(endpoint),
            (Layout::Vertex, Endpoint::Gemini(method)) => {
                format!("{base}/publishers/google{}", gemini_path(model, method)?)
            }
            (_, Endpoint::Gemini(method)) => format!("{base}{}", gemini_path(model, method)?),
            (_, Endpoint::Converse { stream }) => {
                let method = if stream { "converse-stream" } else { "converse" };
                format!("{base}/model/{}/{method}", segment(model)?)
            }
            (_, Endpoint::Invoke) => format!("{base}/model/{}/invoke", segment(model)?),
        };
        url.parse().ok()
    }

    /// The dialect of a model at a provider whose models have several; `None` where they all have one.
    pub(super) fn dialect(&self, model: &str) -> Option<Dialect> {
        match self.layout {
            Layout::Vertex if model.starts_with("claude") => Some(Dialect::Anthropic),
            // Models of others than Google and Anthropic are named `publisher/model`.
            Layout::Vertex if model.contains('/') => Some(Dialect::OpenAiChat),
            _ => None,
        }
    }

    pub(super) fn is_vertex(&self) -> bool {
        matches!(self.layout, Layout::Vertex)
    }
}

/// One segment of a path; a name that would climb out of it is none.
fn segment(name: &str) -> Option<String> {
    (!matches!(name, "" | "." | "..")).then(|| bedrock::encode_model_id(name))
}

fn gemini_path(model: &str, method: Method) -> Option<String> {
    let climbs = |segment: &str| matches!(segment, "" | "." | "..");
    if model.split('/').any(climbs) {
        return None;
    }
    Some(Call { model: model.to_owned(), method }.provider_path())
}

/// The base URL of a provider that has none in its configuration.
pub(super) fn default_base(provider: &Provider, project: Option<&str>) -> Option<String> {
    match provider.kind {
        ProviderKind::Bedrock => {
            let region = provider.region.as_deref()?;
            let end = if region.starts_with("cn-") { ".cn" } else { "" };
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com{end}"))
        }
        ProviderKind::Vertex => {
            let location = provider.location.as_deref()?;
            let host = match location {
                "global" => "aiplatform.googleapis.com".to_owned(),
                location => format!("{location}-aiplatform.googleapis.com"),
            };
            Some(format!("https://{host}/v1/projects/{}/locations/{location}", project?))
        }
        kind => super::table::row(kind).base_url.map(str::to_owned),
    }
}
