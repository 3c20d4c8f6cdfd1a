//! A configuration with all that is supported, written as compactly as YAML allows.

use peerway::config::{self, Activation, ProviderKind, Retries, Semantic, Strategy};

const WHOLE: &str = r#"
node:     { id: node-a, zone: eu-1a, data_dir: ./data }
http:     { listen: 0.0.0.0:8080, max_body: 64MiB }
admin:    { listen: 127.0.0.1:8081, token: ${PEERWAY_ADMIN_TOKEN} }
cluster:
  name: prod
  listen: 0.0.0.0:7946
  advertise: 10.0.0.5:7946
  join: [node-b:7946, node-c:7946, dns:peerway-headless:7946, file:peers.txt]
  founders: [node-a, node-b, node-c]      # a majority must meet
  secret: ${PEERWAY_CLUSTER_SECRET}       # or tls
providers:
  - name: openai
    type: openai
    base_url: https://api.openai.com/v1
    keys: [ { id: main, value: ${OPENAI_API_KEY}, weight: 1.0, models: ["*"] } ]
    timeouts: { connect: 5s, first_byte: 60s, idle: 60s, total: 30m }
    retries: 2
    allow_private: false
  - { name: groq, type: openai_compatible, base_url: https://api.groq.com/openai/v1 }
  - { name: demo, type: simulated, base_url: http://127.0.0.1:8280/v1, allow_private: true }
routes:
  - model: smart
    strategy: weighted
    targets:   [ { provider: openai, model: gpt-4o, weight: 70 }, { provider: demo, model: echo, weight: 30 } ]
    fallbacks: [ { provider: groq, model: llama-3.3-70b } ]
    context_fallbacks: [ { provider: openai, model: gpt-4.1 } ]
  - { model: quick, strategy: least_in_flight, targets: [ { provider: groq, model: a }, { provider: openai, model: b } ] }
retries:  { budget: 0.1, minimum: 3 }
governance:
  require_key: true
  customers: [ { id: acme, budgets: [ { limit_usd: "1000.00", window: 1M } ] } ]
  teams:     [ { id: search, customer: acme, budgets: [ { limit_usd: "100.00", window: 1w } ] } ]
  keys:
    - { id: search-prod, team: search, value: ${KEY}, models: ["smart", "openai/*"], budgets: [ { limit_usd: "10.00", window: 1d } ], limits: [ { unit: requests, limit: 200, window: 1m }, { unit: tokens, limit: 500000, window: 1d } ] }
prices:   { file: prices.yaml }
cache:
  activation: header
  ttl: 5m
  scope: key                # key | team | customer | cluster
  max_memory: 512MiB
  backend: { type: peer }
  semantic: { enabled: true, threshold: 0.85, history: 3, embedder: { type: static }, vectors: { type: peer } }
observability: { log: "${LOG:-info}" }
"#;

#[test]
fn the_whole_surface_loads() {
    let variables = |name: &str| (name != "LOG").then(|| format!("{name}-0123456789"));
    let loaded = config::parse("whole.yaml", WHOLE, &variables, |_| {}).unwrap_or_else(|errors| panic!("{errors}"));
    let config = loaded.config;
    assert_eq!(config.admin.token.unwrap().expose(), "PEERWAY_ADMIN_TOKEN-0123456789");
    assert_eq!(config.providers[0].keys[0].value.expose(), "OPENAI_API_KEY-0123456789");
    assert_eq!(config.providers[2].kind, ProviderKind::Simulated);
    assert_eq!(config.routes[0].fallbacks[0].model, "llama-3.3-70b");
    assert_eq!(config.routes[0].context_fallbacks[0].model, "gpt-4.1");
    assert_eq!(config.routes[1].strategy, Strategy::LeastInFlight);
    assert_eq!(config.retries, Retries { budget: 0.1, minimum: 3 });
    assert_eq!(config.governance.keys[0].limits[1].limit, 500_000);
    assert_eq!(config.cluster.unwrap().join.len(), 4);
    assert_eq!(config.cache.activation, Activation::Header);
    assert_eq!(config.cache.semantic, Semantic::default(), "what is written is the default");
    assert_eq!(config.observability.log, "info");
    let warnings: Vec<(usize, &str)> =
        loaded.warnings.iter().map(|warning| (warning.line, warning.path.as_str())).collect();
    assert_eq!(warnings, [], "all of it is in force");
}

#[test]
fn flags_are_judged_with_the_file() {
    let open = |config: &mut config::Config| config.admin.listen = "0.0.0.0:8081".parse().unwrap();
    let errors = config::parse("f.yaml", "admin: { listen: 127.0.0.1:8081 }", &|_| None, open).unwrap_err();
    assert_eq!(errors.errors[0].path, "admin.listen");
    let cluster = "cluster: { name: prod }";
    assert!(config::parse("f.yaml", cluster, &|_| None, |_| {}).is_err());
    let secret = |config: &mut config::Config| {
        config.cluster.as_mut().unwrap().secret = Some(config::Secret::new("0123456789abcdef"));
    };
    assert!(config::parse("f.yaml", cluster, &|_| None, secret).is_ok());
}

#[test]
fn the_environment_alone_is_enough() {
    let variables = |name: &str| ["OPENAI_API_KEY", "PEERWAY_KEY"].contains(&name).then(|| "sk-0123456789".to_owned());
    let loaded = config::from_variables(&variables, |config| config.node.id = Some("n1".to_owned())).unwrap();
    assert_eq!((loaded.config.providers.len(), loaded.warnings.len()), (1, 0));
    assert_eq!(loaded.config.node.id.as_deref(), Some("n1"));
    let bad = config::from_variables(&variables, |config| config.node.id = Some("n 1".to_owned())).unwrap_err();
    assert!(bad.to_string().starts_with("environment: node.id: "), "{bad}");
}
