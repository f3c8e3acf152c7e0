//! `/api/users/{id}/profile`: the statements that set a user apart, and edits of them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use idiolect_core::corpus::{ReviewId, Store, View};
use idiolect_core::difference::statements::{
    Change, Edit, ProfileStatement, StatementProfile, next_undo, revise, revisions,
};
use idiolect_core::methods::{self, MethodInputs, MethodOptions, Statements};
use idiolect_engine::progress;
use serde_json::{Map, Value, json};

use super::{StoreWork, not_found, on_store};
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::path_name::PathName;
use crate::personal::settings;

/// The profile of a user.
pub(super) async fn profile(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let store = work.store()?;
        let made = made(work, &store, &id)?;
        let mut profile = serde_json::to_value(&made)
            .map_err(|error| ApiError::internal("tell the profile", &error))?;
        name_sources(work, &store, &mut profile)?;
        let versions = revisions(&store, &id);
        let versions = versions.map_err(|error| ApiError::internal("read the profile", &error))?;
        profile["versions"] = json!(versions);
        profile["abstains"] = json!(made.abstains());
        profile["abstention"] = json!(made.abstention());
        Ok(Json(profile))
    })
    .await
}

/// Adds to each quote the item that it is about, and to those of others, who wrote it, if the key may
/// know.
fn name_sources(work: &StoreWork, store: &Store, profile: &mut Value) -> Result<(), ApiError> {
    let mut titles: HashMap<String, String> = HashMap::new();
    let statements = profile["statements"].as_array_mut();
    let quotes = statements.into_iter().flatten().filter_map(|one| one["evidence"].as_array_mut());
    for quote in quotes.flatten() {
        let id = |value: &Value| value["review"].as_i64().map(ReviewId);
        let of = |value: &Value| store.reviews(id(value).as_slice());
        let (own, other) = (of(quote), of(&quote["other"]));
        let own = own.map_err(|error| work.of_store(&error))?;
        let other = other.map_err(|error| work.of_store(&error))?;
        if let Some(own) = own.first() {
            let item = &own.review.item;
            if !titles.contains_key(item) {
                let found = store.item(item).map_err(|error| work.of_store(&error))?;
                titles.insert(item.clone(), found.title);
            }
            quote["item"] = json!(item);
            quote["item_title"] = json!(titles.get(item));
        }
        if let Some(other) = other.first().filter(|other| work.caller.may(&other.review.user)) {
            quote["other"]["user"] = json!(other.review.user);
        }
    }
    Ok(())
}

/// Makes a new version of the profile of a user.
pub(super) async fn edit(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let body = read_object(request).await?;
    Fields::checked(BodyRoute::Profile, &body)?;
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let fields = Fields { route: BodyRoute::Profile, body: &body };
        let store = work.store()?;
        store.history(&id).map_err(|error| not_found(work, &error))?;
        let (version, change) = match fields.flag("undo") {
            Some(true) => undo(&store, &id, &body)?,
            _ => {
                let before = made(work, &store, &id)?;
                (before.version, Change::Edits(edits(work, &fields, &before)?))
            }
        };
        if fields.integer("version").is_some_and(|given| given != i64::from(version)) {
            let message = format!("the newest version of the profile is {version}; read it again");
            return Err(ApiError::field("version", message).with_code("version_outdated"));
        }
        let revision = revise(&store, &id, version, change);
        let revision = revision.map_err(|error| ApiError::internal("edit the profile", &error))?;
        Ok(Json(json!({ "user": id, "revision": revision })))
    })
    .await
}

/// The profile with its edits. It is computed unless the store has it.
fn made(work: &StoreWork, store: &Store, user: &str) -> Result<StatementProfile, ApiError> {
    let (models, personal) = (work.app.models()?, settings(&work.app)?);
    let view = View::all(store);
    view.history(user).map_err(|error| not_found(work, &error))?;
    let mut options: MethodOptions = personal.options.clone();
    if options.idiolect.statements == Statements::None {
        // A text may be written without statements; a profile consists of them.
        options.idiolect.statements = Statements::Measured;
    }
    let inputs = MethodInputs {
        view,
        model: &models.lm,
        peers: Some(work.encoder()?),
        task: &personal.task,
        progress: &*work.stop,
        held_out: &[],
    };
    let edits = revisions(store, user);
    let edits = edits.map_err(|error| ApiError::internal("read the profile", &error))?;
    let made = methods::stated_profile(&inputs, user, &options, &edits);
    match progress::block_on(&*work.stop, made) {
        Some(made) => made.map_err(|error| ApiError::of_method(&error, work.tells_names())),
        None => Err(ApiError::timeout()),
    }
}

fn undo(store: &Store, user: &str, body: &Map<String, Value>) -> Result<(u32, Change), ApiError> {
    if body.keys().any(|key| !matches!(key.as_str(), "undo" | "version")) {
        return Err(ApiError::field("undo", "`undo` cannot be combined with edits"));
    }
    let revisions = revisions(store, user);
    let revisions = revisions.map_err(|error| ApiError::internal("read the profile", &error))?;
    let nothing = || ApiError::field("undo", "the profile has no change to undo");
    let undone = next_undo(&revisions).ok_or_else(nothing)?;
    let newest = revisions.last().map_or(0, |revision| revision.version);
    Ok((newest, Change::Undo(undone)))
}

/// The edits that a request asks for, at least one.
fn edits(
    work: &StoreWork,
    fields: &Fields<'_>,
    before: &StatementProfile,
) -> Result<Vec<Edit>, ApiError> {
    let find = |field: &str, key: &str| -> Result<&ProfileStatement, ApiError> {
        let message = format!("`{field}`: the profile has no statement `{key}`");
        before.statement(key).ok_or_else(|| ApiError::field(field, message))
    };
    let mut edits = Vec::new();
    for key in fields.texts("pin") {
        edits.push(Edit::pin(find("pin", &key)?));
    }
    for key in fields.texts("drop") {
        edits.push(Edit::drop(find("drop", &key)?));
    }
    for (key, text) in fields.object("reword").into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        let empty = || ApiError::field("reword", format!("`reword`: `{key}` has no text"));
        edits.push(Edit::reword(find("reword", key)?, text).ok_or_else(empty)?);
    }
    for added in fields.value("add").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| added.get(name).and_then(Value::as_str).unwrap_or_default();
        let (dimension, text) = (text("dimension"), text("text"));
        let task = &settings(&work.app)?.task;
        if !task.standard.iter().any(|known| known.key == dimension) {
            let known: Vec<&str> = task.standard.iter().map(|d| d.key.as_str()).collect();
            let message = format!("`add`: the dimensions are {}", known.join(", "));
            return Err(ApiError::field("add", message));
        }
        let empty = || ApiError::field("add", "`add`: a statement has no text");
        edits.push(Edit::add(before, dimension, text).ok_or_else(empty)?);
    }
    for key in fields.texts("restore") {
        find("restore", &key)?;
        edits.push(Edit::Restore { key });
    }
    match edits.is_empty() {
        true => Err(ApiError::invalid("the request has no edit")),
        false => Ok(edits),
    }
}
