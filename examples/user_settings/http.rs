//! The service over HTTP: `GET`, `PUT`, `PATCH` and `DELETE` of `/users/{id}/settings`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::{
    service::{ServiceError, UserService},
    settings::{Changes, Settings},
};

/// The routes of the service.
pub(crate) fn router(service: UserService) -> Router {
    let settings = get(read).put(replace).patch(update).delete(forget);
    Router::new().route("/users/{id}/settings", settings).with_state(service)
}

async fn read(
    State(service): State<UserService>,
    Path(user): Path<i64>,
) -> Result<Json<Settings>, ServiceError> {
    service.get_profile(user).await.map(Json)
}

async fn replace(
    State(service): State<UserService>,
    Path(user): Path<i64>,
    Json(settings): Json<Settings>,
) -> Result<Json<Settings>, ServiceError> {
    service.put_profile(user, &settings).await?;
    Ok(Json(settings))
}

async fn update(
    State(service): State<UserService>,
    Path(user): Path<i64>,
    Json(changes): Json<Changes>,
) -> Result<Json<Settings>, ServiceError> {
    service.update_profile(user, &changes).await.map(Json)
}

async fn forget(
    State(service): State<UserService>,
    Path(user): Path<i64>,
) -> Result<StatusCode, ServiceError> {
    service.delete_profile(user).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoSettings(_) => StatusCode::NOT_FOUND,
            Self::ThemeTooLong => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Repository(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a request failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
