//! Qdrant's services over gRPC, as its crate generates them, with as much behind them as the cache asks for: collections
//! with a length, payload indexes, filters, queries, deletion by filter, scrolling. What it does not know it refuses.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ::qdrant_client::qdrant::collections_server::{Collections, CollectionsServer};
use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::points_server::{Points, PointsServer};
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::*;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::bench::{cosine, is_uuid};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Up,
    Unavailable,
    Hung,
    Lies(Lie),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    OtherTenants,
    NotANumber,
    NoPayload,
    WrongTypes,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) create: CreateCollection,
    pub(crate) indexes: BTreeMap<String, CreateFieldIndexCollection>,
    points: BTreeMap<String, (Vec<f32>, HashMap<String, Value>)>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) collections: Mutex<BTreeMap<String, Held>>,
    way: Mutex<Way>,
    points: watch::Sender<usize>,
    pub(crate) created: AtomicU64,
    pub(crate) scrolled: AtomicU64,
}

impl State {
    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    pub(crate) fn points(&self) -> watch::Receiver<usize> {
        self.points.subscribe()
    }

    pub(crate) fn wipe(&self) {
        self.collections.lock().unwrap().clear();
    }

    async fn reached(&self) -> Result<(), Status> {
        let way = *self.way.lock().unwrap();
        match way {
            Way::Up | Way::Lies(_) => Ok(()),
            Way::Unavailable => Err(Status::unavailable("shutting down")),
            Way::Hung => std::future::pending().await,
        }
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Held) -> Result<T, Status>) -> Result<T, Status> {
        let mut collections = self.collections.lock().unwrap();
        let missing = || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        let done = work(collections.get_mut(name).ok_or_else(missing)?)?;
        self.points.send_replace(collections.values().map(|held| held.points.len()).sum());
        Ok(done)
    }
}

/// A server on a port of its own, for as long as the test's runtime lives.
pub(crate) async fn serve(key: Option<&'static str>) -> (SocketAddr, Arc<State>) {
    let state = Arc::new(State {
        collections: Mutex::default(),
        way: Mutex::new(Way::Up),
        points: watch::channel(0).0,
        created: AtomicU64::new(0),
        scrolled: AtomicU64::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let admit = move |request: Request<()>| {
        let given = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        if key.is_some() && given != key { Err(Status::unauthenticated("Invalid API key or JWT")) } else { Ok(request) }
    };
    let router = tonic::transport::Server::builder()
        .add_service(CollectionsServer::with_interceptor(Service(Arc::clone(&state)), admit))
        .add_service(PointsServer::with_interceptor(Service(Arc::clone(&state)), admit));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    (address, state)
}

struct Service(Arc<State>);

fn done() -> Result<Response<PointsOperationResponse>, Status> {
    let result = UpdateResult { operation_id: Some(1), status: UpdateStatus::Completed.into() };
    Ok(Response::new(PointsOperationResponse { result: Some(result), ..PointsOperationResponse::default() }))
}

fn point_id(id: Option<&PointId>) -> Result<String, Status> {
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Uuid(uuid)) if is_uuid(uuid) => Ok(uuid.clone()),
        other => Err(Status::invalid_argument(format!("Unable to parse UUID: {other:?}"))),
    }
}

/// Whether a point is one of those that are meant. As in strict mode, nothing is filtered by a field without an index.
fn matches(held: &Held, id: &str, payload: &HashMap<String, Value>, filter: &Filter) -> Result<bool, Status> {
    if !filter.should.is_empty() || !filter.must_not.is_empty() || filter.min_should.is_some() {
        return Err(Status::unimplemented("this server knows only `must`"));
    }
    for condition in &filter.must {
        let is_met = match condition.condition_one_of.as_ref() {
            Some(ConditionOneOf::HasId(these)) => {
                let ids: Result<Vec<_>, _> = these.has_id.iter().map(|id| point_id(Some(id))).collect();
                ids?.iter().any(|known| known == id)
            }
            Some(ConditionOneOf::Field(field)) => {
                if !held.indexes.contains_key(&field.key) {
                    let message = format!("Index required but not found for \"{}\"", field.key);
                    return Err(Status::invalid_argument(message));
                }
                field_matches(field, payload.get(&field.key))?
            }
            other => return Err(Status::unimplemented(format!("this server does not know {other:?}"))),
        };
        if !is_met {
            return Ok(false);
        }
    }
    Ok(true)
}

fn field_matches(field: &FieldCondition, value: Option<&Value>) -> Result<bool, Status> {
    let kind = value.and_then(|value| value.kind.as_ref());
    let wanted = field.r#match.as_ref().and_then(|wanted| wanted.match_value.as_ref());
    match (wanted, &field.range) {
        (Some(MatchValue::Keyword(wanted)), None) => {
            Ok(matches!(kind, Some(Kind::StringValue(text)) if text == wanted))
        }
        (None, Some(range)) => {
            let Some(Kind::IntegerValue(number)) = kind else { return Ok(false) };
            let number = *number as f64;
            Ok(range.gt.is_none_or(|bound| number > bound)
                && range.gte.is_none_or(|bound| number >= bound)
                && range.lt.is_none_or(|bound| number < bound)
                && range.lte.is_none_or(|bound| number <= bound))
        }
        other => Err(Status::unimplemented(format!("this server does not know {other:?}"))),
    }
}

fn dimension(create: &CreateCollection) -> u64 {
    match create.vectors_config.as_ref().and_then(|config| config.config.as_ref()) {
        Some(Config::Params(params)) => params.size,
        _ => 0,
    }
}

fn of_length(vector: Vec<f32>, dimension: u64) -> Result<Vec<f32>, Status> {
    if vector.len() as u64 == dimension {
        return Ok(vector);
    }
    let message = format!("Wrong input: Vector dimension error: expected dim: {dimension}, got {}", vector.len());
    Err(Status::invalid_argument(message))
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// Methods that are never called, as `async_trait` would write them: it does not look into macros.
macro_rules! refuse {
    ($($name:ident($request:ty) -> $response:ty;)*) => {$(
        fn $name<'life0, 'async_trait>(&'life0 self, _: Request<$request>) -> Answer<'async_trait, $response>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
        }
    )*};
}

#[tonic::async_trait]
impl Collections for Service {
    async fn get(
        &self,
        request: Request<GetCollectionInfoRequest>,
    ) -> Result<Response<GetCollectionInfoResponse>, Status> {
        self.0.reached().await?;
        let info = self.0.with(&request.get_ref().collection_name, |held| {
            let params =
                CollectionParams { vectors_config: held.create.vectors_config.clone(), ..CollectionParams::default() };
            let schema = |index: &CreateFieldIndexCollection| PayloadSchemaInfo {
                data_type: index.field_type.unwrap_or_default(),
                params: index.field_index_params.clone(),
                points: None,
            };
            Ok(CollectionInfo {
                status: CollectionStatus::Green.into(),
                config: Some(CollectionConfig { params: Some(params), ..CollectionConfig::default() }),
                payload_schema: held.indexes.iter().map(|(name, index)| (name.clone(), schema(index))).collect(),
                ..CollectionInfo::default()
            })
        })?;
        Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: 0.0 }))
    }

    async fn create(
        &self,
        request: Request<CreateCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        self.0.reached().await?;
        let create = request.into_inner();
        let mut collections = self.0.collections.lock().unwrap();
        let name = create.collection_name.clone();
        if name.len() > 255 || name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']) {
            return Err(Status::invalid_argument("collection name cannot contain such a character"));
        }
        if collections.contains_key(&name) {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        self.0.created.fetch_add(1, Ordering::SeqCst);
        collections.insert(name, Held { create, indexes: BTreeMap::new(), points: BTreeMap::new() });
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Result<Response<CollectionExistsResponse>, Status> {
        self.0.reached().await?;
        let exists = self.0.collections.lock().unwrap().contains_key(&request.get_ref().collection_name);
        Ok(Response::new(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 }))
    }

    refuse! {
        list(ListCollectionsRequest) -> ListCollectionsResponse;
        update(UpdateCollection) -> CollectionOperationResponse;
        delete(DeleteCollection) -> CollectionOperationResponse;
        update_aliases(ChangeAliases) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}

#[tonic::async_trait]
impl Points for Service {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Result<Response<PointsOperationResponse>, Status> {
        self.0.reached().await?;
        let upsert = request.into_inner();
        self.0.with(&upsert.collection_name, |held| {
            for point in upsert.points {
                let id = point_id(point.id.as_ref())?;
                let Some(VectorsOptions::Vector(vector)) = point.vectors.and_then(|vectors| vectors.vectors_options)
                else {
                    return Err(Status::invalid_argument("Expected some vectors"));
                };
                #[allow(deprecated, reason = "clients may still write it")]
                let numbers = match vector.vector {
                    Some(vector::Vector::Dense(dense)) => dense.data,
                    _ => vector.data,
                };
                let numbers = of_length(numbers, dimension(&held.create))?;
                held.points.insert(id, (numbers, point.payload));
            }
            Ok(())
        })?;
        done()
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Result<Response<PointsOperationResponse>, Status> {
        self.0.reached().await?;
        let delete = request.into_inner();
        let selector = delete.points.and_then(|points| points.points_selector_one_of);
        let Some(PointsSelectorOneOf::Filter(filter)) = selector else {
            return Err(Status::unimplemented("this server deletes by filter"));
        };
        self.0.with(&delete.collection_name, |held| {
            let mut doomed = Vec::new();
            for (id, (_, payload)) in &held.points {
                if matches(held, id, payload, &filter)? {
                    doomed.push(id.clone());
                }
            }
            for id in doomed {
                held.points.remove(&id);
            }
            Ok(())
        })?;
        done()
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        self.0.reached().await?;
        let index = request.into_inner();
        self.0.with(&index.collection_name.clone(), |held| {
            held.indexes.insert(index.field_name.clone(), index);
            Ok(())
        })?;
        done()
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Result<Response<ScrollResponse>, Status> {
        self.0.reached().await?;
        self.0.scrolled.fetch_add(1, Ordering::SeqCst);
        let scroll = request.into_inner();
        let filter = scroll.filter.unwrap_or_default();
        let result = self.0.with(&scroll.collection_name, |held| {
            let mut found = Vec::new();
            for (id, (_, payload)) in &held.points {
                if matches(held, id, payload, &filter)? {
                    found.push(RetrievedPoint { id: Some(PointId::from(id.as_str())), ..RetrievedPoint::default() });
                }
            }
            found.truncate(scroll.limit.unwrap_or(10) as usize);
            Ok(found)
        })?;
        Ok(Response::new(ScrollResponse { result, ..ScrollResponse::default() }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Result<Response<QueryResponse>, Status> {
        self.0.reached().await?;
        let ask = request.into_inner();
        let way = *self.0.way.lock().unwrap();
        let lie = if let Way::Lies(lie) = way { Some(lie) } else { None };
        let nearest = match ask.query.and_then(|query| query.variant) {
            Some(query::Variant::Nearest(VectorInput { variant: Some(vector_input::Variant::Dense(dense)) })) => {
                dense.data
            }
            other => return Err(Status::unimplemented(format!("this server does not know {other:?}"))),
        };
        let filter = ask.filter.ok_or_else(|| Status::invalid_argument("a search of all tenants"))?;
        let result = self.0.with(&ask.collection_name, |held| {
            let nearest = of_length(nearest, dimension(&held.create))?;
            let mut found = Vec::new();
            for (id, (vector, payload)) in &held.points {
                let score = cosine(&nearest, vector);
                let is_meant =
                    matches(held, id, payload, &filter)? && ask.score_threshold.is_none_or(|floor| score >= floor);
                if is_meant || lie == Some(Lie::OtherTenants) {
                    let id = Some(PointId::from(id.as_str()));
                    found.push(ScoredPoint { id, payload: payload.clone(), score, ..ScoredPoint::default() });
                }
            }
            found.sort_by(|one, other| other.score.total_cmp(&one.score));
            if lie != Some(Lie::OtherTenants) {
                found.truncate(ask.limit.unwrap_or(10) as usize);
            }
            Ok(found)
        })?;
        let result = result.into_iter().map(|point| told(point, lie)).collect();
        Ok(Response::new(QueryResponse { result, ..QueryResponse::default() }))
    }

    refuse! {
        get(GetPoints) -> GetResponse;
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        count(CountPoints) -> CountResponse;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}

fn told(mut point: ScoredPoint, lie: Option<Lie>) -> ScoredPoint {
    match lie {
        Some(Lie::NotANumber) => point.score = f32::NAN,
        Some(Lie::NoPayload) => point.payload.clear(),
        Some(Lie::WrongTypes) => {
            point.payload.insert("generation".to_owned(), Value::from("7"));
        }
        Some(Lie::OtherTenants) | None => {}
    }
    point
}
