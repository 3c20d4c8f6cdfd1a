use peerway_cluster::identity::{Generation, Identity, Incarnation};
use peerway_cluster::registry::service::{Expected, ServiceConfig};
use peerway_cluster::registry::store::WhenAhead;
use peerway_cluster::registry::{Limits, RegistryService};
use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::*;
use crate::config::{self, Config};

fn config(governance: Value) -> Config {
    let provider =
        json!({"name": "demo", "type": "simulated", "base_url": "http://127.0.0.1:1/v1", "allow_private": true});
    serde_json::from_value(json!({ "providers": [provider], "governance": governance })).unwrap()
}

fn file() -> Config {
    config(json!({
        "customers": [{"id": "acme", "limits": [{"unit": "requests", "limit": 9, "window": "1m"}]}],
        "teams": [{"id": "search", "customer": "acme", "budgets": [{"limit_usd": "100.00", "window": "1w"}]}],
        "keys": [
            {"id": "a", "team": "search", "value": "sk-a", "models": ["smart", "demo/*"],
                "budgets": [{"limit_usd": "10.00", "window": "1d"}],
                "providers": [{"provider": "demo", "budgets": [{"limit_usd": "5.00", "window": "1d"}]}]},
            {"id": "b", "value": "sk-b", "models": ["*"]},
        ],
    }))
}

fn registry() -> RegistryService {
    let identity = Identity {
        cluster: "test".parse().unwrap(),
        node_id: "n".parse().unwrap(),
        incarnation: Incarnation(1),
        generation: Generation(1),
    };
    let when_ahead = WhenAhead::Refuse;
    RegistryService::start(ServiceConfig { identity, data_dir: None, limits: Limits::default(), when_ahead }).unwrap()
}

fn sent(value: &str) -> HeaderMap {
    [(AUTHORIZATION, format!("Bearer {value}").parse().unwrap())].into_iter().collect()
}

fn key(value: Value) -> config::VirtualKey {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_key_is_found_in_any_header() {
    let access = CurrentAccess::new(Base::new(&file()), None);
    for (name, value) in [
        ("authorization", "Bearer sk-a"),
        ("authorization", "bearer  sk-a"),
        ("x-api-key", "sk-a"),
        ("x-goog-api-key", "sk-a"),
        ("api-key", "sk-a"),
        ("x-peerway-key", "sk-a"),
        ("x-bf-vk", "sk-a"),
    ] {
        let headers: HeaderMap = [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
        let key = access.load().key_of(&headers).unwrap();
        assert_eq!((&*key.id, key.team_id(), key.customer_id()), ("a", Some("search"), Some("acme")));
    }
    assert_eq!(access.load().key_of(&HeaderMap::new()).unwrap_err(), KeyMissing::NotSent);
    assert_eq!(access.load().key_of(&sent("sk-c")).unwrap_err(), KeyMissing::Unknown);
}

#[test]
fn a_key_is_allowed_what_its_patterns_say_and_capped_at_every_tier() {
    let access = CurrentAccess::new(Base::new(&file()), None);
    let key = access.load().key_of(&sent("sk-a")).unwrap();
    assert!(key.allows(&["smart"]) && key.allows(&["echo", "demo/echo"]));
    assert!(!key.allows(&["echo", "other/echo"]));
    let limits =
        |caps: &[Cap]| caps.iter().map(|cap| (cap.unit.as_str(), cap.limit, cap.window.as_str())).collect::<Vec<_>>();
    assert_eq!(limits(&key.caps), [("nano_usd", 10_000_000_000, "1d")]);
    assert_eq!(limits(&key.team.as_ref().unwrap().caps), [("nano_usd", 100_000_000_000, "1w")]);
    assert_eq!(limits(&key.customer.as_ref().unwrap().caps), [("requests", 9, "1m")]);
    assert_eq!(limits(&key.provider("demo").unwrap().caps), [("nano_usd", 5_000_000_000, "1d")]);
    assert!(key.provider("other").is_none());
}

#[test]
fn keys_that_are_disabled_expired_or_have_lost_their_team_are_refused() {
    let mut config = file();
    config.governance.keys[0].enabled = false;
    config.governance.keys[1].expires_at = Some(config::Moment::from_unix(1_000));
    let access = CurrentAccess::new(Base::new(&config), None);
    let refused = |access: &CurrentAccess, value| access.load().key_of(&sent(value)).unwrap_err();
    assert_eq!(refused(&access, "sk-a"), KeyMissing::Unusable(Unusable::Disabled));
    assert_eq!(refused(&access, "sk-b"), KeyMissing::Unusable(Unusable::Expired));
    config.governance.keys[1].expires_at = Some(config::Moment::from_unix(i64::MAX));
    access.reload(&config);
    assert!(access.load().key_of(&sent("sk-b")).is_ok());

    let mut config = file();
    config.governance.customers.clear();
    access.reload(&config);
    assert_eq!(refused(&access, "sk-a"), KeyMissing::Unusable(Unusable::Orphan));
}

#[tokio::test]
async fn records_lie_over_the_file_and_removals_hide_its_entries() {
    let registry = registry();
    let access = CurrentAccess::new(Base::new(&file()), Some(registry.clone()));
    let hasher = access.load().hasher;
    let put = async |id: &str, bytes: Vec<u8>| {
        registry.put(RecordKind::KEY, id, &bytes, Expected::Anything).await.unwrap();
        access.refresh();
    };
    let state = |value: &str| access.load().key_of(&sent(value)).map(|key| (key.id.to_string(), key.source));

    // Made at run time.
    let made = key(json!({"id": "c", "models": ["*"], "team": "search"}));
    put("c", record::of_key(&made, Some(hasher.hash(b"sk-c")))).await;
    assert_eq!(state("sk-c"), Ok(("c".to_owned(), Source::Registry)));
    // Changed at run time: the file's value stays valid.
    let changed = key(json!({"id": "a", "models": ["demo/slow"]}));
    put("a", record::of_key(&changed, None)).await;
    assert_eq!(state("sk-a"), Ok(("a".to_owned(), Source::Both)));
    let narrowed = access.load().key_of(&sent("sk-a")).unwrap();
    assert!(!narrowed.allows(&["demo/echo"]) && narrowed.team.is_none());
    // With a value of its own the file's is no longer valid.
    put("a", record::of_key(&changed, Some(hasher.hash(b"sk-a2")))).await;
    assert_eq!((state("sk-a").is_err(), state("sk-a2").is_ok()), (true, true));
    // Removed, also the file's, also after the file was read again.
    for id in ["a", "b", "c"] {
        registry.remove(RecordKind::KEY, id, Expected::Anything).await.unwrap();
    }
    access.refresh();
    for _ in 0..2 {
        for value in ["sk-a", "sk-a2", "sk-b", "sk-c"] {
            assert_eq!(state(value), Err(KeyMissing::Unknown), "{value}");
        }
        let hidden: Vec<String> = access.load().hidden.iter().map(|hidden| hidden.id.to_string()).collect();
        assert_eq!(hidden, ["a", "b"]);
        access.reload(&file());
    }
    // A newer version's record hides what it stands for.
    put("b", br#"{"v":2}"#.to_vec()).await;
    assert_eq!(state("sk-b"), Err(KeyMissing::Unknown));
    assert_eq!(access.load().unreadable.len(), 1);
}

#[test]
fn a_changed_cluster_name_takes_no_key_away_before_the_next_start() {
    let access = CurrentAccess::new(Base::new(&file()), None);
    let mut renamed = file();
    renamed.cluster = Some(config::Cluster { name: "another".to_owned(), ..config::Cluster::default() });
    let before = access.load().hasher.hash(b"sk-made");
    access.reload(&renamed);
    assert_eq!(access.load().hasher.hash(b"sk-made"), before);
    assert!(access.load().key_of(&sent("sk-a")).is_ok());
}

#[tokio::test]
async fn a_changed_key_costs_little_however_many_there_are() {
    let keys: Vec<Value> = (0..5_000)
        .map(|n| json!({"id": format!("file-{n:05}"), "team": "search", "value": format!("sk-file-{n}"), "models": ["demo/*"],
            "budgets": [{"limit_usd": "10.00", "window": "1d"}]}))
        .collect();
    let mut governance = serde_json::to_value(file().governance).unwrap();
    governance["keys"] = keys.into();
    let config = config(governance);
    let registry = registry();
    let hasher = KeyHasher::of_cluster(config.cluster_name());
    let writes = (0..5_000).map(|n| {
        let id = format!("made-{n:05}");
        let made =
            key(json!({"id": id, "models": ["*"], "limits": [{"unit": "requests", "limit": 5, "window": "1m"}]}));
        let bytes = record::of_key(&made, Some(hasher.hash(id.as_bytes())));
        let registry = registry.clone();
        async move { registry.put(RecordKind::KEY, &made.id, &bytes, Expected::Anything).await.unwrap() }
    });
    futures_util::future::join_all(writes).await;
    let begin = std::time::Instant::now();
    let base = Base::new(&config);
    let hashed = begin.elapsed();
    let access = CurrentAccess::new(base, Some(registry.clone()));
    let first = begin.elapsed();
    // The quickest of some: others on the machine can only add to it.
    let mut again = first;
    for id in ["made-00007", "made-00009", "made-00011", "made-00013", "made-00015"] {
        registry.remove(RecordKind::KEY, id, Expected::Anything).await.unwrap();
        let begin = std::time::Instant::now();
        access.refresh();
        again = again.min(begin.elapsed());
    }
    println!("10,000 keys: file hashed in {hashed:?}, first made in {first:?}, after a change in {again:?}");
    assert_eq!(access.load().keys.len(), 9_995);
    assert!(access.load().key_of(&sent("made-00007")).is_err() && access.load().key_of(&sent("made-00008")).is_ok());
    assert!(again < first, "no more than all of it: {again:?}, {first:?}");
}

/// One edit: at run time, or of the file.
#[derive(Debug, Clone)]
enum Edit {
    Customer(u8, Option<u64>),
    Team(u8, Option<Option<u8>>),
    Key(u8, Option<(Option<u8>, Option<u8>)>),
    Garbage(u16, u8),
    File { customers: Vec<u8>, teams: Vec<(u8, Option<u8>)>, keys: Vec<(u8, Option<u8>, u8)> },
}

fn edits() -> impl Strategy<Value = Edit> {
    let id = || 0..3u8;
    let some = proptest::option::of(id());
    prop_oneof![
        (id(), proptest::option::of(0..3u64)).prop_map(|(id, limit)| Edit::Customer(id, limit)),
        (id(), proptest::option::of(some.clone())).prop_map(|(id, customer)| Edit::Team(id, customer)),
        (id(), proptest::option::of((some.clone(), some.clone()))).prop_map(|(id, parts)| Edit::Key(id, parts)),
        (1..4u16, id()).prop_map(|(kind, id)| Edit::Garbage(kind, id)),
        (
            proptest::collection::vec(id(), 0..3),
            proptest::collection::vec((id(), some.clone()), 0..3),
            proptest::collection::vec((id(), some, id()), 0..3),
        )
            .prop_map(|(customers, teams, keys)| Edit::File { customers, teams, keys }),
    ]
}

/// Everything that can be told of an access, in words.
fn dump(access: &Access) -> String {
    let owner = |team: &Team| {
        format!("{:?} {:?} {:?}", team.definition, team.source, team.customer.as_ref().map(|it| &it.definition))
    };
    let keys: Vec<String> = access
        .keys
        .values()
        .map(|key| {
            let (team, customer) =
                (key.team.as_ref().map(|team| owner(team)), key.customer.as_ref().map(|it| &it.definition));
            format!(
                "{:?} {:?} {:?} {:?} {:?} {team:?} {customer:?} {:?}",
                key.definition,
                key.source,
                key.hash,
                key.caps,
                key.providers,
                key.check(|| 0)
            )
        })
        .collect();
    let teams: Vec<String> = access.teams.values().map(|team| owner(team)).collect();
    let customers: Vec<_> = access.customers.values().map(|it| (&it.definition, it.source, &it.caps)).collect();
    let found: BTreeMap<_, _> = access.by_hash.iter().map(|(hash, key)| (hash, &key.id)).collect();
    format!("{keys:#?} {teams:#?} {customers:#?} {found:#?} {:?} {:?}", access.unreadable, access.hidden)
}

fn named(kind: &str, id: u8) -> String {
    format!("{kind}-{id}")
}

fn written(edit: &Edit, hasher: &KeyHasher) -> Option<(RecordKind, String, Option<Vec<u8>>)> {
    Some(match edit {
        Edit::Customer(id, limit) => {
            let limits = |limit: &u64| json!([{"unit": "requests", "limit": limit, "window": "1d"}]);
            let customer = limit.as_ref().map(|limit| json!({"id": named("customer", *id), "limits": limits(limit)}));
            let bytes = customer.map(|it| record::of_customer(&serde_json::from_value(it).unwrap()));
            (RecordKind::CUSTOMER, named("customer", *id), bytes)
        }
        Edit::Team(id, customer) => {
            let team =
                customer.map(|it| json!({"id": named("team", *id), "customer": it.map(|it| named("customer", it))}));
            let bytes = team.map(|it| record::of_team(&serde_json::from_value(it).unwrap()));
            (RecordKind::TEAM, named("team", *id), bytes)
        }
        Edit::Key(id, parts) => {
            let bytes = parts.map(|(team, value)| {
                let made = key(json!({"id": named("key", *id), "team": team.map(|it| named("team", it))}));
                record::of_key(&made, value.map(|it| hasher.hash(&[it])))
            });
            (RecordKind::KEY, named("key", *id), bytes)
        }
        Edit::Garbage(kind, id) => {
            let kind = RecordKind(*kind);
            (kind, named(&kind.to_string(), *id), Some(br#"{"v":9}"#.to_vec()))
        }
        Edit::File { .. } => return None,
    })
}

fn file_of(customers: &[u8], teams: &[(u8, Option<u8>)], keys: &[(u8, Option<u8>, u8)]) -> Config {
    config(json!({
        "customers": customers.iter().map(|id| json!({"id": named("customer", *id)})).collect::<Vec<_>>(),
        "teams": teams.iter().map(|(id, customer)| {
            json!({"id": named("team", *id), "customer": customer.map(|it| named("customer", it))})
        }).collect::<Vec<_>>(),
        "keys": keys.iter().map(|(id, team, value)| {
            json!({"id": named("key", *id), "team": team.map(|it| named("team", it)), "value": format!("sk-{value}")})
        }).collect::<Vec<_>>(),
    }))
}

proptest! {
    /// What is taken over from before is what would be made anew.
    #[test]
    fn an_access_does_not_depend_on_the_one_before(edits in proptest::collection::vec(edits(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let registry = registry();
        let mut config = file_of(&[], &[], &[]);
        let access = CurrentAccess::new(Base::new(&config), Some(registry.clone()));
        for edit in &edits {
            if let Edit::File { customers, teams, keys } = edit {
                config = file_of(customers, teams, keys);
                access.reload(&config);
            } else if let Some((kind, id, bytes)) = written(edit, &access.load().hasher) {
                let done = match bytes {
                    Some(bytes) => runtime.block_on(registry.put(kind, &id, &bytes, Expected::Anything)),
                    None => runtime.block_on(registry.remove(kind, &id, Expected::Anything)),
                };
                done.unwrap();
                access.refresh();
            }
            let anew = Access::new(&Base::new(&config), &registry.snapshot(), None);
            prop_assert_eq!(dump(&access.load()), dump(&anew));
        }
    }
}
