//! Own routes under `/api`: users, items, what sets a user apart, and texts as they are written.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use idiolect_core::corpus::Store;
use idiolect_core::peers;
use idiolect_engine::encoder::Encoder;

use crate::app::App;
use crate::error::ApiError;
use crate::fields::BodyRoute;
use crate::keys::Caller;
use crate::personal::{StopFlag, StopOnDrop, settings};
use crate::run::within;

mod about;
mod compare;
mod corpus;
mod evaluations;
mod forget;
mod guess;
mod near;
mod parameters;
mod profile;
mod score;
mod stream;
mod write;

/// The routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/about", get(about::about))
        .route("/api/users", get(corpus::users))
        .route("/api/users/{id}", get(corpus::user).delete(forget::forget))
        .route("/api/users/{id}/forget", get(forget::preview))
        .route("/api/users/{id}/export", get(forget::export))
        .route(BodyRoute::Profile.path(), get(profile::profile).patch(profile::edit))
        .route("/api/users/{id}/neighbours", get(near::neighbours))
        .route("/api/items", get(corpus::items))
        .route("/api/items/{id}", get(corpus::item))
        .route("/api/map", get(near::map))
        .route("/api/evaluations", get(evaluations::list))
        .route("/api/evaluations/{id}/report", get(evaluations::report))
        .route("/api/evaluations/{id}/ticket", post(evaluations::ticket))
        .route("/api/representatives", get(near::representatives))
        .route(BodyRoute::Write.path(), post(write::write))
        .route(BodyRoute::Score.path(), post(score::score))
        .route(BodyRoute::Compare.path(), post(compare::compare))
        .route(BodyRoute::Guess.path(), get(guess::ask).post(guess::answer))
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
            peers::Error::Stopped => ApiError::timeout(),
            peers::Error::NotEmbedded { .. } => {
                ApiError::invalid(error.to_string()).with_code("not_embedded")
            }
            peers::Error::IndexMismatch { .. } => {
                let message = "the index over users does not fit the store; make it anew with \
                               `idiolect index`";
                ApiError::invalid(message).with_code("index_outdated")
            }
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
        self.app.models()?.encoder.as_deref().ok_or_else(none)
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
