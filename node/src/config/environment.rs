//! The start without a file: a provider for each well-known API key in the environment.

use super::finding::Finding;
use super::interpolate::{Expanded, Variables, expand};
use super::model::{Config, Provider, ProviderKey, ProviderKind, VirtualKey};
use super::scalar::Secret;
use crate::provider::table::{Row, TABLE};

/// The virtual key that clients of a node without a file must send.
const CLIENT_KEY: &str = "PEERWAY_KEY";
/// What the keys from the environment are called.
const KEY_ID: &str = "environment";

/// The configuration, and what is missing for it to be of use.
pub(super) fn config(variables: Variables<'_>) -> (Config, Vec<Finding>) {
    let set = |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let mut config = Config::default();
    let mut warnings = Vec::new();
    for row in &TABLE {
        match provider(row, &set) {
            Ok(provider) => config.providers.extend(provider),
            Err(reason) => warnings.push(Finding::placeless("providers", reason, None)),
        }
    }
    if config.providers.is_empty() {
        let names: Vec<&str> = TABLE.iter().filter_map(|row| row.variables.first().copied()).collect();
        warnings.push(Finding::placeless(
            "providers",
            "there is no configuration file and no provider's API key in the environment: there is nothing to serve",
            Some(format!("name a file with --config, or set one of {}", names.join(", "))),
        ));
    }
    match set(CLIENT_KEY) {
        Some(value) => config.governance.keys.push(VirtualKey {
            id: KEY_ID.to_owned(),
            team: None,
            value: Some(Secret::new(value)),
            hash: None,
            models: vec!["*".to_owned()],
            budgets: Vec::new(),
            limits: Vec::new(),
            max_concurrent: None,
            providers: Vec::new(),
            enabled: true,
            expires_at: None,
        }),
        // An open gateway on all interfaces would lend the operator's provider keys to whoever finds it.
        None => warnings.push(Finding::placeless(
            "governance.keys",
            format!("{CLIENT_KEY} is not set, so no client has a key and every request will be refused"),
            Some(format!("set {CLIENT_KEY} to what clients are to send as their API key")),
        )),
    }
    (config, warnings)
}

/// The provider of a kind, if the environment has what it takes; the words for what is missing if it has only a part.
fn provider(row: &Row, set: &dyn Fn(&str) -> Option<String>) -> Result<Option<Provider>, String> {
    let first = |names: &[&str]| names.iter().find_map(|name| set(name));
    let mut provider = Provider::new(row.name, row.kind);
    let mut key = first(row.variables).map(|value| ProviderKey::new(KEY_ID, Secret::new(value)));
    match row.kind {
        ProviderKind::Azure => {
            provider.base_url = set("AZURE_OPENAI_ENDPOINT").map(|url| url.trim_end_matches('/').to_owned());
            provider.api_version = set("OPENAI_API_VERSION");
            if key.is_some() && provider.base_url.is_none() {
                return Err("AZURE_OPENAI_API_KEY is set without AZURE_OPENAI_ENDPOINT: azure is left out".to_owned());
            }
        }
        ProviderKind::Bedrock => {
            provider.region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
            key = key.or_else(|| aws(set));
            if key.is_some() && provider.region.is_none() {
                return Err("there is a key for AWS but no AWS_REGION: bedrock is left out".to_owned());
            }
        }
        ProviderKind::Vertex => {
            let Some(path) = set("GOOGLE_APPLICATION_CREDENTIALS") else { return Ok(None) };
            provider.project = set("GOOGLE_CLOUD_PROJECT");
            provider.location = Some(set("GOOGLE_CLOUD_LOCATION").unwrap_or_else(|| "global".to_owned()));
            key = Some(ProviderKey::new(KEY_ID, Secret::new(file(&path)?)));
        }
        _ => {}
    }
    provider.keys.extend(key);
    Ok((!provider.keys.is_empty()).then_some(provider))
}

fn aws(set: &dyn Fn(&str) -> Option<String>) -> Option<ProviderKey> {
    let mut key = ProviderKey::new(KEY_ID, Secret::new(set("AWS_SECRET_ACCESS_KEY")?));
    key.access_key_id = Some(set("AWS_ACCESS_KEY_ID")?);
    key.session_token = set("AWS_SESSION_TOKEN").map(Secret::new);
    Some(key)
}

/// What a file holds that a variable names.
fn file(path: &str) -> Result<String, String> {
    let left_out = |why: String| format!("GOOGLE_APPLICATION_CREDENTIALS: {why}: vertex is left out");
    match expand(&format!("file://{path}"), &|_| None) {
        Ok(Expanded::Replaced(text)) => Ok(text),
        Ok(Expanded::AsWritten) => Err(left_out(format!("`{path}` is not an absolute path"))),
        Err(error) => Err(left_out(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_in_the_environment_is_a_provider() {
        let (config, warnings) = config(&|name| match name {
            "OPENAI_API_KEY" | "MISTRAL_API_KEY" => Some(format!("{name}-value\n")),
            "GROQ_API_KEY" => Some(String::new()),
            "PEERWAY_KEY" => Some("sk-client".to_owned()),
            _ => None,
        });
        let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
        assert_eq!(names, ["openai", "mistral"]);
        assert_eq!(config.providers[1].keys[0].value.expose(), "MISTRAL_API_KEY-value");
        assert_eq!(config.governance.keys[0].value, Some(Secret::new("sk-client")));
        assert_eq!(warnings, []);
    }

    #[test]
    fn what_takes_more_than_a_key_is_put_together() {
        let table = [
            ("ANTHROPIC_API_KEY", "sk-ant"),
            ("AZURE_OPENAI_API_KEY", "az"),
            ("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("GOOGLE_API_KEY", "g"),
            ("HF_TOKEN", "hf"),
            ("PEERWAY_KEY", "sk-client"),
        ];
        let look_up = |name: &str| table.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let (config, warnings) = config(&look_up);
        assert_eq!(warnings, []);
        let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
        assert_eq!(names, ["anthropic", "gemini", "azure", "bedrock", "huggingface"]);
        assert_eq!(config.providers[2].base_url.as_deref(), Some("https://mine.openai.azure.com"));
        let bedrock = &config.providers[3];
        assert_eq!(bedrock.region.as_deref(), Some("eu-central-1"));
        assert_eq!(bedrock.keys[0].access_key_id.as_deref(), Some("AKIA"));
        assert_eq!(bedrock.keys[0].session_token, Some(Secret::new("session")));
    }

    #[test]
    fn half_of_what_it_takes_is_told() {
        for (name, missing) in [
            ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
            ("AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "cannot read"),
        ] {
            let (config, warnings) = config(&|asked| (asked == name).then(|| "/no/such/file".to_owned()));
            assert_eq!(config.providers.len(), 0, "{name}");
            assert!(warnings[0].message.contains(missing), "{name}: {}", warnings[0].message);
        }
    }

    #[test]
    fn without_a_client_key_the_gateway_stays_closed() {
        let (config, warnings) = config(&|_| None);
        assert!(config.governance.require_key && config.governance.keys.is_empty());
        assert_eq!(warnings.len(), 2);
    }
}
