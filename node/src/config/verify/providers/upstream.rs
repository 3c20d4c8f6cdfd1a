//! One provider: what its kind needs and what no other kind knows, its URLs, keys and headers.

use crate::config::model::{Provider, ProviderKey, ProviderKind};
use crate::config::verify::Verdict;
use crate::provider::headers::{self, BadHeader};
use crate::provider::table::{Auth, Row, row};
use crate::provider::url::{self, Names};
use crate::provider::{BadKey, check_key};

/// More attempts than this would only multiply an outage.
const MAX_RETRIES: u32 = 10;
const MAX_HEADERS: usize = 32;

pub(super) fn verify(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let row = row(provider.kind);
    name(path, provider, verdict);
    own_fields(path, provider, row, verdict);
    let names = if provider.proxy.is_some() { Names::ByEnding } else { Names::Resolved };
    base_url(path, provider, row, names, verdict);
    proxy(path, provider, verdict);
    custom_headers(path, provider, row, verdict);
    keys(path, provider, row, names, verdict);
    times(path, provider, verdict);
    for (index, model) in provider.models.iter().enumerate() {
        verdict.pattern(format!("{path}.models[{index}]"), model);
    }
}

fn name(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let path = format!("{path}.name");
    if provider.name.contains('/') {
        verdict.error(path, "a provider's name cannot hold `/`, which ends it in `provider/model`");
    } else {
        verdict.word(path, "name", &provider.name);
    }
}

/// Fields that one kind of provider has. Elsewhere they would be without effect, which is never what was meant.
fn own_fields(path: &str, provider: &Provider, row: &Row, verdict: &mut Verdict) {
    let set = |field: &Option<String>| field.is_some();
    let fields = [
        ("api_version", ProviderKind::Azure, set(&provider.api_version)),
        ("deployments", ProviderKind::Azure, !provider.deployments.is_empty()),
        ("project", ProviderKind::Vertex, set(&provider.project)),
        ("location", ProviderKind::Vertex, set(&provider.location)),
        ("region", ProviderKind::Bedrock, set(&provider.region)),
    ];
    for (field, kind, is_set) in fields {
        if is_set && kind != provider.kind {
            let owner = crate::provider::table::row(kind).name;
            verdict.error_with(
                format!("{path}.{field}"),
                format!("`{field}` is a field of type `{owner}`, not of `{}`", row.name),
                "leave it out".to_owned(),
            );
        }
    }
    // These become a part of a host or a path.
    for (field, value) in [
        ("api_version", &provider.api_version),
        ("project", &provider.project),
        ("location", &provider.location),
        ("region", &provider.region),
    ] {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.');
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let value = value.as_deref().unwrap_or("x");
        let good =
            if matches!(field, "location" | "region") { value.bytes().all(in_host) } else { value.bytes().all(fits) };
        if value.is_empty() || !good || value.starts_with('.') {
            verdict.error(
                format!("{path}.{field}"),
                format!("not the name of a {}", field.replace("api_version", "version")),
            );
        }
    }
    for (model, deployment) in &provider.deployments {
        verdict.word(format!("{path}.deployments.{model}"), "deployment", deployment);
    }
    let needs: &[(&str, bool)] = match provider.kind {
        ProviderKind::Bedrock => &[("region", provider.region.is_none())],
        ProviderKind::Vertex => &[("location", provider.base_url.is_none() && provider.location.is_none())],
        _ => &[],
    };
    for (field, missing) in needs {
        if *missing {
            let example = if *field == "region" { "us-east-1" } else { "global" };
            verdict.error_with(
                path,
                format!("provider `{}` needs a `{field}`", provider.name),
                format!("add e.g. `{field}: {example}`"),
            );
        }
    }
}

fn base_url(path: &str, provider: &Provider, row: &Row, names: Names, verdict: &mut Verdict) {
    let Some(url) = provider.base_url.as_deref().or(row.base_url) else {
        let example = match provider.kind {
            // Theirs follow from the region and the location.
            ProviderKind::Bedrock | ProviderKind::Vertex => return,
            ProviderKind::Azure => "https://my-resource.openai.azure.com",
            _ => "http://127.0.0.1:11434/v1",
        };
        return verdict.error_with(
            path,
            format!("provider `{}` needs a `base_url`", provider.name),
            format!("add e.g. `base_url: {example}`"),
        );
    };
    let field = if provider.base_url.is_some() { format!("{path}.base_url") } else { path.to_owned() };
    let owner = format!("provider `{}`", provider.name);
    match url::target(url, provider.allow_private, names) {
        Err(error) => {
            verdict.error_with(field, error.to_string(), error.hint("https://api.example.com/v1", &owner));
        }
        Ok(uri) if provider.kind == ProviderKind::Azure && uri.path().starts_with("/openai") => verdict.error_with(
            field,
            "the base URL of an Azure resource ends before `/openai`",
            "write e.g. https://my-resource.openai.azure.com".to_owned(),
        ),
        Ok(_) => {}
    }
}

fn proxy(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let Some(proxy) = &provider.proxy else { return };
    let path = format!("{path}.proxy");
    if let Err(error) = url::proxy(&proxy.url, proxy.allow_private) {
        let hint = error.hint("http://proxy.example.com:3128", "the proxy");
        verdict.error_with(format!("{path}.url"), error.to_string(), hint);
    }
    match &proxy.username {
        None if proxy.password.is_some() => {
            verdict.error(format!("{path}.password"), "a password without a `username`");
        }
        Some(name) if name.is_empty() || name.contains(|c: char| c == ':' || c.is_control()) => {
            verdict.error(format!("{path}.username"), "a user's name is not empty and holds no `:`");
        }
        _ => {}
    }
}

fn custom_headers(path: &str, provider: &Provider, row: &Row, verdict: &mut Verdict) {
    if provider.headers.len() > MAX_HEADERS {
        verdict.error(format!("{path}.headers"), format!("at most {MAX_HEADERS} headers"));
    }
    for (name, value) in &provider.headers {
        let path = format!("{path}.headers.{name}");
        if let Err(error) = headers::custom(name, row) {
            let hint = match error {
                BadHeader::Name => "write e.g. `x-team: search`",
                BadHeader::Owned => "leave it out",
                BadHeader::Credential => "put the key into `keys`",
            };
            verdict.error_with(path, format!("`{name}`: {error}"), hint.to_owned());
        } else if http::HeaderValue::from_str(value.expose()).is_err() {
            verdict.error(path, "the value holds characters that an HTTP header cannot have");
        }
    }
}

fn keys(path: &str, provider: &Provider, row: &Row, names: Names, verdict: &mut Verdict) {
    let ids = provider.keys.iter().enumerate();
    verdict.duplicates("id", ids.map(|(index, key)| (format!("{path}.keys[{index}].id"), key.id.as_str())));
    for (index, key) in provider.keys.iter().enumerate() {
        let path = format!("{path}.keys[{index}]");
        verdict.word(format!("{path}.id"), "id", &key.id);
        if let Err(error) = check_key(row, key, provider.allow_private, names) {
            let hint = match error {
                BadKey::Empty => Some("leave the key out where the provider needs none".to_owned()),
                _ => None,
            };
            verdict.error_with(format!("{path}.value"), error.to_string(), hint);
        }
        aws(&path, key, row, verdict);
        verdict.weight(format!("{path}.weight"), key.weight);
        for (index, model) in key.models.iter().enumerate() {
            verdict.pattern(format!("{path}.models[{index}]"), model);
        }
    }
    let has_project =
        provider.project.is_some() || provider.keys.iter().any(|key| key.value.expose().contains("project_id"));
    if provider.kind == ProviderKind::Vertex && provider.base_url.is_none() && !has_project {
        verdict.error_with(
            path,
            format!("provider `{}` needs a `project`", provider.name),
            "add `project: my-project`; only the JSON of a service account names it".to_owned(),
        );
    }
}

/// What belongs to access keys of AWS.
fn aws(path: &str, key: &ProviderKey, row: &Row, verdict: &mut Verdict) {
    let fields = [("access_key_id", key.access_key_id.is_some()), ("session_token", key.session_token.is_some())];
    if row.auth != Auth::Aws {
        for (field, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
            verdict.error_with(
                format!("{path}.{field}"),
                format!("`{field}` is a field of keys of type `bedrock`, not of `{}`", row.name),
                "leave it out".to_owned(),
            );
        }
    } else if key.session_token.is_some() && key.access_key_id.is_none() {
        verdict.error(format!("{path}.session_token"), "a session token without an `access_key_id`");
    } else if key
        .access_key_id
        .as_deref()
        .is_some_and(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        verdict.error_with(
            format!("{path}.access_key_id"),
            "not the id of an access key",
            "write e.g. AKIAIOSFODNN7EXAMPLE; its secret is the `value`".to_owned(),
        );
    }
}

fn times(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let times = &provider.timeouts;
    for (name, period) in
        [("connect", times.connect), ("first_byte", times.first_byte), ("idle", times.idle), ("total", times.total)]
    {
        if period.get().is_zero() {
            verdict.error(format!("{path}.timeouts.{name}"), "a timeout of 0 s would fail every request");
        }
    }
    if !(times.min_tokens_per_s.is_finite() && times.min_tokens_per_s >= 0.0) {
        verdict.error(format!("{path}.timeouts.min_tokens_per_s"), "not a number of tokens: zero or above");
    }
    if provider.retries > MAX_RETRIES {
        verdict.error(format!("{path}.retries"), format!("at most {MAX_RETRIES} retries, not {}", provider.retries));
    }
}
