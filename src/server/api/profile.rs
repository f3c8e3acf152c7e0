//! `/api/users/{id}/profile`: the statements that set a user apart, edits of them, and the profile for
//! other programs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use idiolect_core::corpus::{ReviewId, Store, View};
use idiolect_core::difference::statements::{
    Change, Edit, ProfileStatement, Revision, StatementProfile, next_undo, revise, revisions,
};
use idiolect_core::methods::{self, MethodInputs, MethodOptions, PortableProfile, Statements};
use idiolect_engine::progress;
use serde_json::{Map, Value, json};

use super::parameters::{GivenParameters, parameters};
use super::{StoreWork, not_found, on_store};
use crate::app::App;
use crate::body::read_object;
use crate::error::ApiError;
use crate::fields::{BodyRoute, Fields};
use crate::keys::Caller;
use crate::path_name::PathName;
use crate::personal::settings;

/// The profile of a user, as JSON or in the form that `format` names.
pub(super) async fn profile(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
    given: GivenParameters,
) -> Result<Response, ApiError> {
    let format = parameters(BodyRoute::Profile.path(), given)?.format;
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let store = work.store()?;
        match format.as_deref() {
            None | Some("json") => told(work, &store, &made(work, &store, &id)?),
            Some("markdown") => {
                let task = &settings(&work.app)?.task;
                Ok(as_text("text/markdown", made(work, &store, &id)?.to_markdown(task)))
            }
            Some("system-prompt") => {
                let portable = ProfileSources::of(work, &store, &id)?.portable(work, &id)?;
                Ok(as_text("text/plain", portable.system_prompt))
            }
            Some("messages") => {
                let portable = ProfileSources::of(work, &store, &id)?.portable(work, &id)?;
                Ok(Json(json!({ "messages": portable.messages })).into_response())
            }
            Some("logit-bias") => ProfileSources::of(work, &store, &id)?.bias(work, &id),
            Some(_) => {
                let known = "json, markdown, system-prompt, messages and logit-bias";
                Err(ApiError::field("format", format!("the formats are {known}")))
            }
        }
    })
    .await
}

/// The profile as JSON, with its versions, and with user and item of each quote.
fn told(work: &StoreWork, store: &Store, made: &StatementProfile) -> Result<Response, ApiError> {
    let mut profile = serde_json::to_value(made)
        .map_err(|error| ApiError::internal("tell the profile", &error))?;
    profile["abstains"] = json!(made.abstains());
    profile["abstention"] = json!(made.abstention());
    let versions = revisions(store, &made.user);
    let versions = versions.map_err(|error| ApiError::internal("read the profile", &error))?;
    profile["versions"] = json!(versions);
    name_sources(work, store, &mut profile)?;
    Ok(Json(profile).into_response())
}

fn as_text(media_type: &'static str, text: String) -> Response {
    let media_type = HeaderValue::try_from(format!("{media_type}; charset=utf-8"));
    let fallback = HeaderValue::from_static("text/plain");
    ([(header::CONTENT_TYPE, media_type.unwrap_or(fallback))], text).into_response()
}

/// Adds user, item and title of the item to each quote of a profile.
fn name_sources(work: &StoreWork, store: &Store, profile: &mut Value) -> Result<(), ApiError> {
    let statements = profile["statements"].as_array_mut().into_iter().flatten();
    for quote in
        statements.flat_map(|stated| stated["evidence"].as_array_mut().into_iter().flatten())
    {
        name_source(work, store, quote)?;
        if let Some(other) = quote.get_mut("other") {
            name_source(work, store, other)?;
        }
    }
    Ok(())
}

fn name_source(work: &StoreWork, store: &Store, quote: &mut Value) -> Result<(), ApiError> {
    let of_store = |error| work.of_store(&error);
    let id = quote.get("review").and_then(Value::as_i64).map(ReviewId);
    let found = store.reviews(id.as_slice()).map_err(of_store)?;
    if let Some(stored) = found.first() {
        let item = store.item(&stored.review.item).map_err(of_store)?;
        quote["user"] = json!(stored.review.user);
        quote["item"] = json!(item.id);
        quote["item_title"] = json!(item.title);
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
        let earlier = revisions(&store, &id);
        let earlier = earlier.map_err(|error| ApiError::internal("read the profile", &error))?;
        let version = earlier.last().map_or(0, |revision| revision.version);
        if fields.integer("version").is_some_and(|given| given != i64::from(version)) {
            let message = format!("the newest version of the profile is {version}; read it again");
            return Err(ApiError::field("version", message).with_code("version_outdated"));
        }
        let change = match fields.flag("undo") {
            Some(true) => undo(&earlier, &body)?,
            // The language model may have to make the profile: not for a request without an edit.
            _ if !has_edit(&fields) => {
                return Err(ApiError::invalid("the request has no edit"));
            }
            _ => Change::Edits(edits(work, &fields, &made(work, &store, &id)?)?),
        };
        let revision = revise(&store, &id, version, change);
        let revision = revision.map_err(|error| ApiError::internal("edit the profile", &error))?;
        Ok(Json(json!({ "user": id, "revision": revision })))
    })
    .await
}

/// Everything that a profile is made from.
struct ProfileSources<'a> {
    inputs: MethodInputs<'a>,
    options: MethodOptions,
    edits: Vec<Revision>,
}

impl<'a> ProfileSources<'a> {
    fn of(work: &'a StoreWork, store: &'a Store, user: &str) -> Result<Self, ApiError> {
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
            reward: None,
            held_out: &[],
        };
        let edits = revisions(store, user);
        let edits = edits.map_err(|error| ApiError::internal("read the profile", &error))?;
        Ok(Self { inputs, options, edits })
    }

    fn portable(&self, work: &StoreWork, user: &str) -> Result<PortableProfile, ApiError> {
        let made = methods::portable_profile(&self.inputs, user, &self.options, &self.edits);
        wait(work, made)
    }

    fn bias(&self, work: &StoreWork, user: &str) -> Result<Response, ApiError> {
        let made = methods::portable_bias(&self.inputs, user, &self.options);
        let bias = wait(work, made)?;
        let lm = &work.app.models()?.lm;
        let told = json!({
            "model": lm.name(),
            "vocabulary": lm.tokenizer().n_vocab(),
            "left_out": bias.n_left_out,
            "logit_bias": bias.by_id(),
        });
        Ok(Json(told).into_response())
    }
}

/// Waits for a method, unless the client hangs up or the time is over.
fn wait<T>(
    work: &StoreWork,
    made: impl Future<Output = methods::Result<T>>,
) -> Result<T, ApiError> {
    match progress::block_on(&*work.stop, made) {
        Some(made) => made.map_err(|error| ApiError::of_method(&error, work.tells_names())),
        None => Err(ApiError::timeout()),
    }
}

/// The profile with its edits. It is computed unless the store has it.
fn made(work: &StoreWork, store: &Store, user: &str) -> Result<StatementProfile, ApiError> {
    let ProfileSources { inputs, options, edits } = ProfileSources::of(work, store, user)?;
    wait(work, methods::stated_profile(&inputs, user, &options, &edits))
}

fn undo(earlier: &[Revision], body: &Map<String, Value>) -> Result<Change, ApiError> {
    if body.keys().any(|key| !matches!(key.as_str(), "undo" | "version")) {
        return Err(ApiError::field("undo", "`undo` cannot be combined with edits"));
    }
    let nothing = || ApiError::field("undo", "the profile has no change to undo");
    next_undo(earlier).map(Change::Undo).ok_or_else(nothing)
}

/// Whether a request asks for an edit.
fn has_edit(fields: &Fields<'_>) -> bool {
    let texts = ["pin", "drop", "restore"].into_iter();
    let added = fields.value("add").and_then(Value::as_array);
    texts.map(|name| fields.texts(name).len()).sum::<usize>() > 0
        || fields.object("reword").is_some_and(|reworded| !reworded.is_empty())
        || added.is_some_and(|added| !added.is_empty())
}

/// The edits that a request asks for.
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
    Ok(edits)
}
