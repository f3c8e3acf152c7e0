//! Own routes under `/api`: users, items, what sets a user apart, and texts as they are written.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use idiolect_core::corpus::{Store, View};
use idiolect_core::peers::{self, Choice, ChoiceOptions, Selector};
use idiolect_engine::encoder::Encoder;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::fields::BodyRoute;
use crate::keys::Caller;
use crate::path_name::PathName;
use crate::personal::{StopFlag, StopOnDrop, settings};
use crate::route_list::QUERIES;
use crate::run::within;

mod profile;
mod write;

/// Default of the numbers of users and items.
const MANY: usize = 1000;
/// Maximum number of neighbours and representatives.
const MAX_PEERS: usize = 100;

/// The routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/users", get(users))
        .route("/api/users/{id}", get(user))
        .route(BodyRoute::Profile.path(), get(profile::profile).patch(profile::edit))
        .route("/api/users/{id}/neighbours", get(neighbours))
        .route("/api/items", get(items))
        .route("/api/items/{id}", get(item))
        .route("/api/representatives", get(representatives))
        .route(BodyRoute::Write.path(), post(write::write))
}

/// The parameters of an address, all optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    min_reviews: Option<u64>,
    limit: Option<usize>,
    k: Option<usize>,
    seed: Option<u64>,
    user: Option<String>,
    item: Option<String>,
}

/// Parameters of an address, or the reason why they cannot be read.
type GivenParameters = Result<Query<Parameters>, axum::extract::rejection::QueryRejection>;

/// The parameters, if the route knows each of them.
fn parameters(path: &str, given: GivenParameters) -> Result<Parameters, ApiError> {
    let Ok(Query(given)) = given else {
        return Err(ApiError::invalid("a parameter of the address is unknown or malformed"));
    };
    let names = [
        ("min_reviews", given.min_reviews.is_some()),
        ("limit", given.limit.is_some()),
        ("k", given.k.is_some()),
        ("seed", given.seed.is_some()),
        ("user", given.user.is_some()),
        ("item", given.item.is_some()),
    ];
    let knows = |name: &str| QUERIES.iter().any(|query| query.path == path && query.name == name);
    match names.iter().find(|(name, is_given)| *is_given && !knows(name)) {
        Some((name, _)) => Err(ApiError::field(*name, format!("{path} does not take `{name}`"))),
        None => Ok(given),
    }
}

/// The caller's view of the server, for work on the store.
struct StoreWork {
    app: Arc<App>,
    caller: Caller,
    stop: Arc<StopFlag>,
}

impl StoreWork {
    fn tells_names(&self) -> bool {
        self.app.on_loopback && self.caller.users.is_none()
    }

    fn store(&self) -> Result<Store, ApiError> {
        let path = &settings(&self.app)?.store;
        Store::open_existing(path).map_err(|error| self.of_store(&error))
    }

    fn of_store(&self, error: &idiolect_core::corpus::Error) -> ApiError {
        ApiError::of_store(error, self.tells_names())
    }

    fn of_peers(&self, error: &peers::Error) -> ApiError {
        match error {
            peers::Error::Corpus(error) => self.of_store(error),
            other => ApiError::internal("compare users", other),
        }
    }

    /// Checks that the key may read a user's texts.
    fn check_user(&self, user: &str) -> Result<(), ApiError> {
        match self.caller.may(user) {
            true => Ok(()),
            false => {
                let message = "the key may not read this user's texts";
                Err(ApiError::forbidden(message, "user_not_allowed"))
            }
        }
    }

    /// Checks that the key may read everybody's texts.
    fn check_everybody(&self) -> Result<(), ApiError> {
        match self.caller.users {
            None => Ok(()),
            Some(_) => {
                let message = "the key may read the texts of its users only";
                Err(ApiError::forbidden(message, "user_not_allowed"))
            }
        }
    }

    fn encoder(&self) -> Result<&Encoder, ApiError> {
        let none = || ApiError::not_found("this server has no sentence encoder");
        self.app.models()?.encoder.as_ref().ok_or_else(none)
    }
}

/// Runs work on the store on a thread of its own; dropping the future stops work that can stop.
async fn on_store<T: Send + 'static>(
    app: Arc<App>,
    caller: Caller,
    work: impl FnOnce(&StoreWork) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    settings(&app)?;
    let place = app.enter()?;
    let stop = Arc::new(StopFlag::default());
    let _guard = StopOnDrop(Arc::clone(&stop));
    let shared = Arc::clone(&app);
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work(&StoreWork { app: shared, caller, stop })
    });
    within(&app, async {
        done.await.unwrap_or_else(|error| Err(ApiError::internal("read the store", &error)))
    })
    .await
}

async fn users(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters("/api/users", given)?;
    on_store(app, caller, move |work| {
        let store = work.store()?;
        let least = given.min_reviews.unwrap_or(1);
        let mut users = store.users(least).map_err(|error| work.of_store(&error))?;
        users.retain(|user| work.caller.may(&user.user));
        let total = users.len();
        users.truncate(given.limit.unwrap_or(MANY));
        Ok(Json(json!({ "total": total, "users": users })))
    })
    .await
}

async fn user(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let reviews = work.store()?.history(&id).map_err(|error| not_found(work, &error))?;
        Ok(Json(json!({ "user": id, "reviews": reviews })))
    })
    .await
}

/// Error of reading a user or an item that the address names: 404 and not 400.
fn not_found(work: &StoreWork, error: &idiolect_core::corpus::Error) -> ApiError {
    use idiolect_core::corpus::Error;
    match error {
        Error::UnknownUser { .. } | Error::UnknownItem { .. } if work.tells_names() => {
            ApiError::not_found(error.to_string())
        }
        Error::UnknownUser { .. } => ApiError::not_found("the user is not in the store"),
        Error::UnknownItem { .. } => ApiError::not_found("the item is not in the store"),
        other => work.of_store(other),
    }
}

async fn items(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters("/api/items", given)?;
    on_store(app, caller, move |work| {
        let mut items = work.store()?.item_ids().map_err(|error| work.of_store(&error))?;
        let total = items.len();
        items.truncate(given.limit.unwrap_or(MANY));
        Ok(Json(json!({ "total": total, "items": items })))
    })
    .await
}

async fn item(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, move |work| {
        let store = work.store()?;
        let item = store.item(&id).map_err(|error| not_found(work, &error))?;
        let mut reviews = store.reviews_of(&id).map_err(|error| not_found(work, &error))?;
        reviews.retain(|stored| work.caller.may(&stored.review.user));
        Ok(Json(json!({ "item": item, "reviews": reviews })))
    })
    .await
}

async fn neighbours(
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

async fn representatives(
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
        })))
    })
    .await
}
