//! `/api/customers`: who pays.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use peerway_cluster::registry::RecordKind;
use peerway_cluster::registry::service::Expected;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::resource::{self, RemoveQuery, Removed, Stored};
use super::{Admin, Problem};
use crate::config::{self, verify_customer};
use crate::governance::access::{Customer, Source, record};

const KIND: RecordKind = RecordKind::CUSTOMER;

/// A customer as it holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerView {
    #[serde(flatten)]
    customer: config::Customer,
    /// Where it was written.
    source: Source,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerList {
    customers: Vec<CustomerView>,
}

/// A customer that was made or changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerStored {
    #[serde(flatten)]
    customer: config::Customer,
    stored: Stored,
}

impl CustomerView {
    fn of(customer: &Customer) -> Self {
        Self { customer: config::Customer::clone(&customer.definition), source: customer.source }
    }
}

/// All customers.
#[utoipa::path(get, path = "/api/customers", tag = "customers", responses((status = 200, body = CustomerList)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<CustomerList> {
    let access = admin.gateway.access.load();
    Json(CustomerList { customers: access.customers.values().map(|customer| CustomerView::of(customer)).collect() })
}

/// Makes a customer.
#[utoipa::path(post, path = "/api/customers", tag = "customers", request_body = config::Customer, responses(
    (status = 201, body = CustomerStored),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn create(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let customer: config::Customer = resource::read(&body)?;
    let (snapshot, access) = resource::look(&admin);
    resource::vacant(&access, "customer", KIND, &customer.id, access.customers.contains_key(&*customer.id))?;
    resource::judged(&access, |_| verify_customer(&customer))?;
    let expected = resource::as_seen(&snapshot, KIND, &customer.id);
    let stored = resource::write(&admin, KIND, &customer.id, Some(record::of_customer(&customer)), expected).await?;
    Ok((StatusCode::CREATED, Json(CustomerStored { customer, stored })).into_response())
}

/// One customer.
#[utoipa::path(get, path = "/api/customers/{id}", tag = "customers", params(("id" = String, Path)), responses(
    (status = 200, body = CustomerView),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<CustomerView>, Problem> {
    let access = admin.gateway.access.load();
    let customer = access.customers.get(&*id).ok_or_else(|| Problem::unknown("customer", &id))?;
    Ok(Json(CustomerView::of(customer)))
}

/// Changes a customer: a JSON merge patch.
#[utoipa::path(patch, path = "/api/customers/{id}", tag = "customers", params(("id" = String, Path)),
    request_body(content = Object, description = "Those fields of Customer that change; null makes one what it is when left out"),
    responses(
        (status = 200, body = CustomerStored),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
    ))]
pub(super) async fn update(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<CustomerStored>, Problem> {
    let (snapshot, access) = resource::look(&admin);
    let current = access.customers.get(&*id).ok_or_else(|| Problem::unknown("customer", &id))?;
    let customer: config::Customer = resource::patched(&*current.definition, &body)?;
    resource::same_id(&id, &customer.id)?;
    resource::judged(&access, |_| verify_customer(&customer))?;
    let expected = resource::as_seen(&snapshot, KIND, &id);
    let stored = resource::write(&admin, KIND, &id, Some(record::of_customer(&customer)), expected).await?;
    Ok(Json(CustomerStored { customer, stored }))
}

/// Removes a customer that no team belongs to.
#[utoipa::path(delete, path = "/api/customers/{id}", tag = "customers", params(("id" = String, Path), RemoveQuery), responses(
    (status = 200, body = Removed),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 409, description = "Teams belong to it", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    query: Result<Query<RemoveQuery>, QueryRejection>,
) -> Result<Json<Removed>, Problem> {
    let force = resource::force(query)?;
    let (_, access) = resource::look(&admin);
    if !resource::removable(&access, KIND, &id, access.customers.contains_key(&*id), force) {
        return Err(Problem::unknown("customer", &id));
    }
    let members = access.teams.values().filter(|team| team.definition.customer.as_deref() == Some(&*id));
    let members = members.map(|team| &*team.id);
    resource::deserted(members, &format!("teams belong to customer `{id}`"), "remove them, or move them first")?;
    let stored = resource::write(&admin, KIND, &id, None, Expected::Anything).await?;
    Ok(Json(Removed { id, stored }))
}
