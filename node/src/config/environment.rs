//! The start without a file: a provider for each well-known API key in the environment.

use super::finding::Finding;
use super::interpolate::Variables;
use super::model::{Config, Provider, ProviderKey, ProviderKind, Timeouts, VirtualKey};
use super::scalar::Secret;

/// The virtual key that clients of a node without a file must send.
const CLIENT_KEY: &str = "PEERWAY_KEY";

/// Provider, variable of its key, base URL (none: the kind's own).
const WELL_KNOWN: [(&str, &str, Option<&str>); 11] = [
    ("openai", "OPENAI_API_KEY", None),
    ("groq", "GROQ_API_KEY", Some("https://api.groq.com/openai/v1")),
    ("mistral", "MISTRAL_API_KEY", Some("https://api.mistral.ai/v1")),
    ("gemini", "GEMINI_API_KEY", Some("https://generativelanguage.googleapis.com/v1beta/openai")),
    ("together", "TOGETHER_API_KEY", Some("https://api.together.xyz/v1")),
    ("openrouter", "OPENROUTER_API_KEY", Some("https://openrouter.ai/api/v1")),
    ("deepseek", "DEEPSEEK_API_KEY", Some("https://api.deepseek.com/v1")),
    ("fireworks", "FIREWORKS_API_KEY", Some("https://api.fireworks.ai/inference/v1")),
    ("cerebras", "CEREBRAS_API_KEY", Some("https://api.cerebras.ai/v1")),
    ("perplexity", "PERPLEXITY_API_KEY", Some("https://api.perplexity.ai")),
    ("xai", "XAI_API_KEY", Some("https://api.x.ai/v1")),
];

/// The configuration, and what is missing for it to be of use.
pub(super) fn config(variables: Variables<'_>) -> (Config, Vec<Finding>) {
    let set = |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let mut config = Config::default();
    let mut warnings = Vec::new();
    config.providers = WELL_KNOWN
        .into_iter()
        .filter_map(|(name, variable, base_url)| Some(provider(name, set(variable)?, base_url)))
        .collect();
    if config.providers.is_empty() {
        let names: Vec<&str> = WELL_KNOWN.iter().map(|(_, variable, _)| *variable).collect();
        warnings.push(Finding::placeless(
            "providers",
            "there is no configuration file and no provider's API key in the environment: there is nothing to serve",
            Some(format!("name a file with --config, or set one of {}", names.join(", "))),
        ));
    }
    match set(CLIENT_KEY) {
        Some(value) => config.governance.keys.push(VirtualKey {
            id: "environment".to_owned(),
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

fn provider(name: &str, key: String, base_url: Option<&str>) -> Provider {
    Provider {
        name: name.to_owned(),
        kind: if base_url.is_some() { ProviderKind::OpenAiCompatible } else { ProviderKind::OpenAi },
        base_url: base_url.map(str::to_owned),
        keys: vec![ProviderKey {
            id: "environment".to_owned(),
            value: Secret::new(key),
            weight: 1.0,
            models: vec!["*".to_owned()],
        }],
        models: Vec::new(),
        timeouts: Timeouts::default(),
        retries: 2,
        allow_private: false,
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
    fn without_a_client_key_the_gateway_stays_closed() {
        let (config, warnings) = config(&|_| None);
        assert!(config.governance.require_key && config.governance.keys.is_empty());
        assert_eq!(warnings.len(), 2);
    }
}
