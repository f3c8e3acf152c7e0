//! Users near a user, the map of all users, and the peers that a user is compared with.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use idiolect_core::corpus::View;
use idiolect_core::peers::{self, Choice, ChoiceOptions, Selector, UserMap};
use serde_json::{Value, json};

use super::parameters::{GivenParameters, parameters};
use super::{StoreWork, not_found, on_store};
use crate::app::App;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::map_jobs::MapJob;
use crate::path_name::PathName;

/// Maximum number of neighbours and representatives.
const MAX_PEERS: usize = 100;

/// Time for which a request waits for a map that is being made, so that a small one comes at once.
const MAP_WAIT: Duration = Duration::from_secs(1);

/// The map of the users, or of those in one cell; 202 with the progress while it is being made.
pub(super) async fn map(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Response, ApiError> {
    let cell = parameters("/api/map", given)?.cell;
    let ready = |map: &UserMap| Json(map).into_response();
    let job = match found(&app, &caller, cell).await? {
        MapState::Ready(map) => return Ok(ready(&map)),
        MapState::Making(job) => job,
    };
    if let Some(job) = &job {
        job.wait(MAP_WAIT).await;
    }
    let job = match found(&app, &caller, cell).await? {
        MapState::Ready(map) => return Ok(ready(&map)),
        MapState::Making(job) => job,
    };
    let told = Json(MapJob::status(job.as_deref()));
    let again = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    Ok((StatusCode::ACCEPTED, again, told).into_response())
}

/// A map as a request finds it.
enum MapState {
    Ready(Arc<UserMap>),
    /// The job that runs; `None` while a deletion keeps it from beginning.
    Making(Option<Arc<MapJob>>),
}

/// Finds the map, or begins to make it.
async fn found(app: &Arc<App>, caller: &Caller, cell: Option<usize>) -> Result<MapState, ApiError> {
    let shared = Arc::clone(app);
    on_store(Arc::clone(app), caller.clone(), move |work| {
        work.check_everybody()?;
        let (store, encoder) = (work.store()?, work.encoder()?);
        let of_peers = |error| work.of_peers(&error);
        let stamp = peers::map_stamp(&store, encoder, cell).map_err(of_peers)?;
        let stored = peers::stored_map(&store, encoder, cell).map_err(of_peers)?;
        let made = shared.map_jobs.made(&stamp);
        if let Some(made) = made.or_else(|| stored.map(|map| Ok(Some(Arc::new(map))))) {
            let none = || ApiError::not_found("the map has no such cell");
            return made?.map(MapState::Ready).ok_or_else(none);
        }
        let own = Arc::clone(&shared);
        let job = shared.map_jobs.begin(stamp, move |job| {
            let stop = Arc::default();
            let work = StoreWork { app: own, caller: Caller::default(), stop };
            let map = peers::user_map(&work.store()?, work.encoder()?, cell, job);
            map.map_err(|error| work.of_peers(&error))
        });
        Ok(MapState::Making(job?))
    })
    .await
}

pub(super) async fn neighbours(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let k = parameters("/api/users/{id}/neighbours", given)?.k.unwrap_or(10).min(MAX_PEERS);
    on_store(app, caller, move |work| {
        work.check_everybody()?;
        let store = work.store()?;
        let view = View::all(&store);
        view.history(&id).map_err(|error| not_found(work, &error))?;
        let near = peers::nearest_users(&view, work.encoder()?, &id, k);
        let near = near.map_err(|error| work.of_peers(&error))?;
        Ok(Json(json!({ "user": id, "neighbours": near })))
    })
    .await
}

pub(super) async fn representatives(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters("/api/representatives", given)?;
    let missing = |name: &str| ApiError::field(name, format!("the parameter `{name}` is missing"));
    let user = given.user.ok_or_else(|| missing("user"))?;
    let item = given.item.ok_or_else(|| missing("item"))?;
    let k = given.k.unwrap_or(4).clamp(1, MAX_PEERS);
    let seed = given.seed.unwrap_or(42);
    on_store(app, caller, move |work| {
        work.check_everybody()?;
        let store = work.store()?;
        let view = View::all(&store);
        let options = ChoiceOptions { k, selector: Selector::Kmeans, seed };
        let choice: Choice = peers::choose(&view, work.encoder()?, &user, &item, &options)
            .map_err(|error| work.of_peers(&error))?;
        Ok(Json(json!({
            "user": user,
            "item": item,
            "k": k,
            "seed": seed,
            "compared_with": choice.compared_with,
            "candidates": choice.n_candidates,
            "dropped": choice.n_dropped,
            "representatives": choice.representatives,
            "clusters": choice.clusters,
        })))
    })
    .await
}
