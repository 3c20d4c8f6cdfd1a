//! `/api/teams`: parts of customers.

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
use crate::config::{self, verify_team};
use crate::governance::access::{Source, Team, record};

const KIND: RecordKind = RecordKind::TEAM;

/// A team as it holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeamView {
    #[serde(flatten)]
    team: config::Team,
    /// Where it was written.
    source: Source,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeamList {
    teams: Vec<TeamView>,
}

/// A team that was made or changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeamStored {
    #[serde(flatten)]
    team: config::Team,
    stored: Stored,
}

impl TeamView {
    fn of(team: &Team) -> Self {
        Self { team: config::Team::clone(&team.definition), source: team.source }
    }
}

/// All teams.
#[utoipa::path(get, path = "/api/teams", tag = "teams", responses((status = 200, body = TeamList)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<TeamList> {
    let access = admin.gateway.access.load();
    Json(TeamList { teams: access.teams.values().map(|team| TeamView::of(team)).collect() })
}

/// Makes a team.
#[utoipa::path(post, path = "/api/teams", tag = "teams", request_body = config::Team, responses(
    (status = 201, body = TeamStored),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn create(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let team: config::Team = resource::read(&body)?;
    let (snapshot, access) = resource::look(&admin);
    resource::vacant(&access, "team", KIND, &team.id, access.teams.contains_key(&*team.id))?;
    resource::judged(&access, |known| verify_team(&team, known))?;
    let expected = resource::as_seen(&snapshot, KIND, &team.id);
    let stored = resource::write(&admin, KIND, &team.id, Some(record::of_team(&team)), expected).await?;
    Ok((StatusCode::CREATED, Json(TeamStored { team, stored })).into_response())
}

/// One team.
#[utoipa::path(get, path = "/api/teams/{id}", tag = "teams", params(("id" = String, Path)), responses(
    (status = 200, body = TeamView),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<TeamView>, Problem> {
    let access = admin.gateway.access.load();
    let team = access.teams.get(&*id).ok_or_else(|| Problem::unknown("team", &id))?;
    Ok(Json(TeamView::of(team)))
}

/// Changes a team: a JSON merge patch.
#[utoipa::path(patch, path = "/api/teams/{id}", tag = "teams", params(("id" = String, Path)),
    request_body(content = Object, description = "Those fields of Team that change; null makes one what it is when left out"),
    responses(
        (status = 200, body = TeamStored),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
    ))]
pub(super) async fn update(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<TeamStored>, Problem> {
    let (snapshot, access) = resource::look(&admin);
    let current = access.teams.get(&*id).ok_or_else(|| Problem::unknown("team", &id))?;
    let team: config::Team = resource::patched(&*current.definition, &body)?;
    resource::same_id(&id, &team.id)?;
    resource::judged(&access, |known| verify_team(&team, known))?;
    let expected = resource::as_seen(&snapshot, KIND, &id);
    let stored = resource::write(&admin, KIND, &id, Some(record::of_team(&team)), expected).await?;
    Ok(Json(TeamStored { team, stored }))
}

/// Removes a team that no key belongs to.
#[utoipa::path(delete, path = "/api/teams/{id}", tag = "teams", params(("id" = String, Path), RemoveQuery), responses(
    (status = 200, body = Removed),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 409, description = "Keys belong to it", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    query: Result<Query<RemoveQuery>, QueryRejection>,
) -> Result<Json<Removed>, Problem> {
    let force = resource::force(query)?;
    let (_, access) = resource::look(&admin);
    if !resource::removable(&access, KIND, &id, access.teams.contains_key(&*id), force) {
        return Err(Problem::unknown("team", &id));
    }
    let members = access.keys.values().filter(|key| key.definition.team.as_deref() == Some(&*id));
    let members = members.map(|key| &*key.id);
    resource::deserted(members, &format!("keys belong to team `{id}`"), "revoke them, or move them to another team")?;
    let stored = resource::write(&admin, KIND, &id, None, Expected::Anything).await?;
    Ok(Json(Removed { id, stored }))
}
