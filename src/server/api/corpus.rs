//! `/api/users` and `/api/items`: the corpus.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::parameters::{GivenParameters, parameters};
use super::{not_found, on_store};
use crate::app::App;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::path_name::PathName;

/// Default of the numbers of users and items.
const MANY: usize = 1000;

pub(super) async fn users(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters("/api/users", given)?;
    on_store(app, caller, move |work| {
        let store = work.store()?;
        let least = given.min_reviews.unwrap_or(1);
        let mut users = store.users(least).map_err(|error| work.of_store(&error))?;
        let query = Query::of(given.query.as_deref());
        users.retain(|user| work.caller.may(&user.user) && query.finds(&[&user.user]));
        let total = users.len();
        users.truncate(given.limit.unwrap_or(MANY));
        Ok(Json(json!({ "total": total, "users": users })))
    })
    .await
}

pub(super) async fn user(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let store = work.store()?;
        let reviews = store.history(&id).map_err(|error| not_found(work, &error))?;
        let mut told = Vec::with_capacity(reviews.len());
        for stored in reviews {
            let item = store.item(&stored.review.item).map_err(|error| work.of_store(&error))?;
            let mut review = json!(stored);
            review["item_title"] = json!(item.title);
            told.push(review);
        }
        Ok(Json(json!({ "user": id, "reviews": told })))
    })
    .await
}

pub(super) async fn items(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    given: GivenParameters,
) -> Result<Json<Value>, ApiError> {
    let given = parameters("/api/items", given)?;
    on_store(app, caller, move |work| {
        let mut items = work.store()?.items().map_err(|error| work.of_store(&error))?;
        let query = Query::of(given.query.as_deref());
        items.retain(|item| query.finds(&[&item.item, &item.title]));
        let total = items.len();
        items.truncate(given.limit.unwrap_or(MANY));
        Ok(Json(json!({ "total": total, "items": items })))
    })
    .await
}

pub(super) async fn item(
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

/// A searched part of a name, in lower case.
struct Query(String);

impl Query {
    fn of(given: Option<&str>) -> Self {
        Self(given.unwrap_or_default().trim().to_lowercase())
    }

    /// Whether one of the names contains it, in any case.
    fn finds(&self, names: &[&str]) -> bool {
        names.iter().any(|name| name.to_lowercase().contains(&self.0))
    }
}
