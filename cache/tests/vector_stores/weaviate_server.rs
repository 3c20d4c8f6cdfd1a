//! What Weaviate answers, as documented for its REST API (`/v1/schema`, `/v1/objects`, `/v1/batch/objects`) and for
//! GraphQL `Get` with `nearVector` and `where`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use peerway_cache::transport::{Transport, TransportError};
use peerway_cache::vector_store::{Connection, Limits, VectorDatabase};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::bench::{Time, cosine, is_uuid};

/// QUERY_MAXIMUM_RESULTS, by which deletions are bounded too: small, so that one needs several.
const MAX_RESULTS: usize = 3;
pub(crate) const API_KEY: &str = "wv-key";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Up,
    Down,
    Hung,
    RefusesWrites,
    Lies(Lie),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    OtherTenants,
    TooMany,
    Disorder,
    NoCosine,
    ImpossibleCosine,
    Fields,
    Nonsense,
}

#[derive(Debug, Default)]
struct Class {
    schema: Value,
    objects: BTreeMap<String, (Vec<f32>, Value)>,
}

#[derive(Debug)]
pub(crate) struct WeaviateServer {
    classes: Mutex<BTreeMap<String, Class>>,
    way: Mutex<Way>,
    searches: AtomicU64,
    points: watch::Sender<usize>,
}

impl WeaviateServer {
    pub(crate) fn new() -> Arc<WeaviateServer> {
        let (points, _) = watch::channel(0);
        let server =
            WeaviateServer { classes: Mutex::default(), way: Mutex::new(Way::Up), searches: AtomicU64::new(0), points };
        Arc::new(server)
    }

    pub(crate) fn database(self: &Arc<Self>, limits: Limits, time: &Time) -> VectorDatabase {
        let connection = Connection::new("http://weaviate.test:8080/", Some(API_KEY), "peerway").unwrap();
        VectorDatabase::weaviate(connection, self.clone(), limits, time.clock())
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    pub(crate) fn wipe(&self) {
        self.classes.lock().unwrap().clear();
    }

    /// Makes a class by hand.
    pub(crate) fn make(&self, class: &str, schema: Value) {
        self.classes.lock().unwrap().insert(class.to_owned(), Class { schema, ..Class::default() });
    }

    pub(crate) fn schema(&self, class: &str) -> Option<Value> {
        self.classes.lock().unwrap().get(class).map(|class| class.schema.clone())
    }

    pub(crate) fn asked_to_search(&self) -> u64 {
        self.searches.load(Ordering::SeqCst)
    }

    pub(crate) fn points(&self) -> watch::Receiver<usize> {
        self.points.subscribe()
    }

    fn answer(&self, request: &Request<Bytes>) -> (u16, Value) {
        let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if given != Some("Bearer wv-key") {
            return (401, json!({ "code": 401, "message": "anonymous access not enabled" }));
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        if !request.body().is_empty() {
            assert_eq!(request.headers()["content-type"], "application/json");
        }
        let parts: Vec<&str> = request.uri().path().trim_start_matches('/').split('/').collect();
        let mut classes = self.classes.lock().unwrap();
        let answer = match (request.method().as_str(), parts.as_slice()) {
            ("GET", ["v1", "schema", class]) => match classes.get(*class) {
                Some(class) => (200, class.schema.clone()),
                None => (404, Value::Null),
            },
            ("POST", ["v1", "schema"]) => create(&mut classes, body),
            ("POST", ["v1", "batch", "objects"]) => self.write(&mut classes, &body),
            ("DELETE", ["v1", "batch", "objects"]) => delete(&mut classes, &body),
            ("DELETE", ["v1", "objects", class, id]) => {
                assert!(is_uuid(id), "{id}");
                let removed = classes.get_mut(*class).and_then(|class| class.objects.remove(*id));
                (if removed.is_some() { 204 } else { 404 }, Value::Null)
            }
            ("POST", ["v1", "graphql"]) => {
                self.searches.fetch_add(1, Ordering::SeqCst);
                (200, self.search(&classes, body["query"].as_str().unwrap()))
            }
            (method, path) => panic!("no such route: {method} {path:?}"),
        };
        self.points.send_replace(classes.values().map(|class| class.objects.len()).sum());
        answer
    }

    fn write(&self, classes: &mut BTreeMap<String, Class>, body: &Value) -> (u16, Value) {
        let refuses = *self.way.lock().unwrap() == Way::RefusesWrites;
        let results = body["objects"].as_array().unwrap().iter().map(|object| {
            let written = if refuses { Err("invalid object".to_owned()) } else { write(classes, object) };
            let result = match written {
                Ok(()) => json!({ "status": "SUCCESS" }),
                Err(message) => json!({ "status": "FAILED", "errors": { "error": [{ "message": message }] } }),
            };
            json!({ "class": object["class"], "id": object["id"], "result": result })
        });
        (200, results.collect())
    }

    fn search(&self, classes: &BTreeMap<String, Class>, query: &str) -> Value {
        let (class, args, fields) = parse(query);
        let Some(held) = classes.get(&class) else {
            let message = format!("Cannot query field \"{class}\" on type \"GetObjectsObj\".");
            return json!({ "data": null, "errors": [{ "message": message }] });
        };
        let way = *self.way.lock().unwrap();
        let lie = if let Way::Lies(lie) = way { Some(lie) } else { None };
        let question = floats(&args["nearVector"]["vector"]);
        let filter = &args["where"];
        let mut found: Vec<(f32, &Value)> = held
            .objects
            .values()
            .filter(|(_, properties)| lie == Some(Lie::OtherTenants) || matches(&held.schema, properties, filter))
            .map(|(vector, properties)| (1.0 - cosine(&question, vector), properties))
            .collect();
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        if !matches!(lie, Some(Lie::OtherTenants | Lie::TooMany)) {
            found.truncate(args["limit"].as_u64().unwrap() as usize);
        }
        if lie == Some(Lie::Disorder) {
            found.reverse();
        }
        let objects = found.into_iter().map(|(distance, properties)| {
            let mut object: Map<String, Value> =
                fields.iter().map(|field| (field.clone(), properties[field].clone())).collect();
            let distance = match lie {
                Some(Lie::NoCosine) => Value::Null,
                Some(Lie::ImpossibleCosine) => json!(-7.0),
                _ => json!(distance),
            };
            object.insert("_additional".to_owned(), json!({ "distance": distance }));
            if lie == Some(Lie::Fields) {
                object.remove("entry_id");
            }
            Value::Object(object)
        });
        let objects: Value = objects.collect();
        match lie {
            Some(Lie::Nonsense) => json!({ "data": { "Get": { class: { "no": "list" } } } }),
            _ => json!({ "data": { "Get": { class: objects } } }),
        }
    }
}

#[async_trait]
impl Transport for WeaviateServer {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().authority().unwrap(), "weaviate.test:8080");
        let way = *self.way.lock().unwrap();
        match way {
            Way::Down => return Err(TransportError { reason: "connection refused".to_owned() }),
            Way::Hung => std::future::pending().await,
            _ => {}
        }
        let (status, body) = self.answer(&request);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        assert!(request.method() != Method::GET || request.body().is_empty());
        Ok(response)
    }
}

fn refusal(status: u16, message: &str) -> (u16, Value) {
    (status, json!({ "error": [{ "message": message }] }))
}

fn is_name(name: &str, begins: impl Fn(char) -> bool) -> bool {
    name.starts_with(begins) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn create(classes: &mut BTreeMap<String, Class>, schema: Value) -> (u16, Value) {
    let name = schema["class"].as_str().unwrap().to_owned();
    if !is_name(&name, |first| first.is_ascii_uppercase()) {
        return refusal(422, &format!("'{name}' is not a valid class name"));
    }
    if classes.contains_key(&name) {
        return refusal(422, &format!("class name {name} already exists"));
    }
    assert_eq!(schema["vectorizer"], "none");
    for property in schema["properties"].as_array().unwrap() {
        let name = property["name"].as_str().unwrap();
        assert!(is_name(name, |first| first.is_ascii_lowercase()) && name != "id" && name != "vector", "{name}");
        match property["dataType"][0].as_str().unwrap() {
            "text" => assert_eq!(property["tokenization"], "field", "a filter is to match all of it"),
            "number" => assert!(property.get("tokenization").is_none() && property.get("indexSearchable").is_none()),
            other => panic!("no such data type is wanted: {other}"),
        }
    }
    classes.insert(name, Class { schema: schema.clone(), ..Class::default() });
    (200, schema)
}

fn data_type<'a>(schema: &'a Value, property: &str) -> Option<&'a Value> {
    schema["properties"].as_array()?.iter().find(|known| known["name"] == property)
}

fn write(classes: &mut BTreeMap<String, Class>, object: &Value) -> Result<(), String> {
    let class = classes.get_mut(object["class"].as_str().unwrap()).ok_or("class not found in schema")?;
    let id = object["id"].as_str().filter(|id| is_uuid(id)).ok_or("invalid UUID")?;
    let vector = floats(&object["vector"]);
    if let Some((first, _)) = class.objects.values().next()
        && first.len() != vector.len()
    {
        return Err(format!("vector lengths don't match: {} vs {}", first.len(), vector.len()));
    }
    for (name, value) in object["properties"].as_object().unwrap() {
        let known = data_type(&class.schema, name).ok_or(format!("no such prop with name '{name}'"))?;
        let fits = if known["dataType"][0] == "text" { value.is_string() } else { value.is_number() };
        if !fits {
            return Err(format!("invalid value for property '{name}'"));
        }
    }
    class.objects.insert(id.to_owned(), (vector, object["properties"].clone()));
    Ok(())
}

fn delete(classes: &mut BTreeMap<String, Class>, body: &Value) -> (u16, Value) {
    let Some(class) = classes.get_mut(body["match"]["class"].as_str().unwrap()) else {
        return refusal(422, "class not found");
    };
    let filter = &body["match"]["where"];
    let Class { schema, objects } = class;
    let of_filter = objects.iter().filter(|(_, (_, properties))| matches(schema, properties, filter));
    let ids: Vec<String> = of_filter.map(|(id, _)| id.clone()).collect();
    for id in ids.iter().take(MAX_RESULTS) {
        objects.remove(id);
    }
    let successful = ids.len().min(MAX_RESULTS);
    let results = json!({ "matches": ids.len(), "limit": MAX_RESULTS, "successful": successful, "failed": 0 });
    (200, json!({ "match": body["match"], "output": "minimal", "results": results }))
}

/// What `where` means.
fn matches(schema: &Value, properties: &Value, filter: &Value) -> bool {
    let operator = filter["operator"].as_str().unwrap();
    if operator == "And" {
        return filter["operands"].as_array().unwrap().iter().all(|operand| matches(schema, properties, operand));
    }
    let path = filter["path"].as_array().unwrap();
    let name = path[0].as_str().unwrap();
    let property = data_type(schema, name).unwrap();
    assert!(path.len() == 1 && property["indexFilterable"] == true, "no filter without an index: {name}");
    let value = &properties[name];
    if property["dataType"][0] == "text" {
        assert_eq!(operator, "Equal");
        return value.as_str().unwrap() == filter["valueText"].as_str().unwrap();
    }
    let (value, bound) = (value.as_f64().unwrap(), filter["valueNumber"].as_f64().unwrap());
    match operator {
        "GreaterThan" => value > bound,
        "GreaterThanEqual" => value >= bound,
        "LessThanEqual" => value <= bound,
        other => panic!("no such operator is wanted: {other}"),
    }
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|part| part.as_f64().unwrap() as f32).collect()
}

/// Class, arguments and fields of `{ Get { Class(arguments) { fields _additional { distance } } } }`.
fn parse(query: &str) -> (String, Value, Vec<String>) {
    let mut letters = query.chars().peekable();
    for expected in ["{", "Get", "{"] {
        assert_eq!(token(&mut letters), expected);
    }
    let class = token(&mut letters);
    let arguments = members(&mut letters, "(", ")");
    let mut fields = Vec::new();
    assert_eq!(token(&mut letters), "{");
    loop {
        match token(&mut letters).as_str() {
            "_additional" => {
                for expected in ["{", "distance", "}"] {
                    assert_eq!(token(&mut letters), expected);
                }
            }
            "}" => break,
            field => fields.push(field.to_owned()),
        }
    }
    assert_eq!((token(&mut letters), token(&mut letters), letters.next()), ("}".to_owned(), "}".to_owned(), None));
    (class, arguments, fields)
}

/// The next name, number, text (with its quotes) or sign; commas are white space.
fn token(letters: &mut Peekable<Chars>) -> String {
    while letters.next_if(|letter| letter.is_whitespace() || *letter == ',').is_some() {}
    let first = letters.next().expect("the query goes on");
    let mut token = String::from(first);
    if first == '"' {
        while !token[1..].ends_with('"') {
            token.push(letters.next().expect("a text ends"));
        }
    } else if !"{}()[]:".contains(first) {
        while let Some(letter) = letters.next_if(|letter| letter.is_alphanumeric() || "_.-+".contains(*letter)) {
            token.push(letter);
        }
    }
    token
}

fn members(letters: &mut Peekable<Chars>, open: &str, close: &str) -> Value {
    assert_eq!(token(letters), open);
    let mut members = Map::new();
    loop {
        let name = token(letters);
        if name == close {
            return Value::Object(members);
        }
        assert_eq!(token(letters), ":");
        let first = token(letters);
        members.insert(name, value(letters, &first));
    }
}

fn value(letters: &mut Peekable<Chars>, first: &str) -> Value {
    match first {
        "{" => {
            let mut object = Map::new();
            loop {
                let name = token(letters);
                if name == "}" {
                    return Value::Object(object);
                }
                assert_eq!(token(letters), ":");
                let first = token(letters);
                object.insert(name, value(letters, &first));
            }
        }
        "[" => {
            let mut list = Vec::new();
            loop {
                let first = token(letters);
                if first == "]" {
                    return Value::Array(list);
                }
                list.push(value(letters, &first));
            }
        }
        // A name as a value is one of an enumeration.
        _ => serde_json::from_str(first).unwrap_or_else(|_| json!(first)),
    }
}
