//! Users near a user, the map of all users, and the peers that a user is compared with.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use idiolect_core::corpus::View;
use idiolect_core::peers::{self, Choice, ChoiceOptions, Selector, UserMap};
use serde_json::{Value, json};

use super::parameters::{GivenParameters, parameters};
use super::{not_found, on_store};
use crate::app::App;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::path_name::PathName;

/// Maximum number of neighbours and representatives.
const MAX_PEERS: usize = 100;

/// The map of the users, or of those in one cell.
pub(super) async fn map(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<UserMap>, ApiError> {
    let cell = parameters("/api/map", given)?.cell;
    // A second request for the map waits for the first one, and finds it in the store.
    let alone = Arc::clone(&app);
    let _alone = alone.map_turn.lock().await;
    on_store(app, caller, move |work| {
        work.check_everybody()?;
        let (store, encoder) = (work.store()?, work.encoder()?);
        let map = peers::user_map(&store, encoder, cell, &*work.stop);
        let map = map.map_err(|error| work.of_peers(&error))?;
        map.map(Json).ok_or_else(|| ApiError::not_found("the map has no such cell"))
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
