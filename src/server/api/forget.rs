//! Export and deletion of everything that is held about a user.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use idiolect_core::corpus::{Error, ForgetScope, Forgotten, NOT_REACHED, Store};
use idiolect_core::peers::{index_folder, remove_index};
use serde_json::{Value, json};

use super::{StoreWork, not_found, on_store};
use crate::app::App;
use crate::error::ApiError;
use crate::keys::Caller;
use crate::path_name::PathName;

/// Number of tries to rewrite the file of the store, which waits for other programs.
const TRIES: usize = 3;

/// Numbers of what would be deleted with the user.
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        let store = writable(work)?;
        let planned = store.would_forget(&id, &ForgetScope::User);
        let planned = planned.map_err(|error| not_found(work, &error))?;
        let has_index = index_folder(store.path()).is_dir();
        Ok(Json(json!({
            "user": id,
            "would_remove": removed(&planned, has_index),
            "remains": remains(&planned),
        })))
    })
    .await
}

/// Deletes the user and everything derived from their texts; answers with a receipt. The deletion is
/// completed if the client hangs up meanwhile.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Json<Value>, ApiError> {
    let shared = Arc::clone(&app);
    on_store(app, caller, move |work| {
        work.check_user(&id)?;
        // A map that is being made would name the user.
        let _halt = shared.map_jobs.halt();
        let start = Instant::now();
        let store = writable(work)?;
        // An unknown user costs no index.
        let planned = store.would_forget(&id, &ForgetScope::User);
        let planned = planned.map_err(|error| not_found(work, &error))?;
        let had_index = remove_index(&store).map_err(|error| work.of_peers(&error))?;
        let done = match store.forget(&id, &ForgetScope::User) {
            // The rows are gone, as planned; another program still reads the file.
            Err(Error::Unscrubbed { .. }) => scrub(&store).map(|()| planned),
            done => done.map_err(|error| not_found(work, &error)),
        };
        shared.guesses.forget(&id);
        shared.scores.clear();
        work.app.models()?.lm.drop_caches();
        let done = done?;
        Ok(Json(json!({
            "user": id,
            "removed": removed(&done, had_index),
            "remains": remains(&done),
            "took_s": start.elapsed().as_secs_f64(),
        })))
    })
    .await
}

/// Everything that the store holds about the user, as `idiolect export` prints it.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathName(id): PathName,
) -> Result<Response, ApiError> {
    let held = on_store(app, caller, move |work| {
        work.check_user(&id)?;
        work.store()?.export_user(&id).map_err(|error| not_found(work, &error))
    })
    .await?;
    // The name of the user could hold anything, so that the file is not named after them.
    let attachment = HeaderValue::from_static("attachment; filename=\"idiolect-export.json\"");
    Ok(([(header::CONTENT_DISPOSITION, attachment)], Json(held)).into_response())
}

/// The store, if it can be written.
fn writable(work: &StoreWork) -> Result<Store, ApiError> {
    let store = work.store()?;
    match store.is_read_only() {
        true => {
            let message = "the store may only be read, so that nothing can be deleted from it";
            Err(ApiError::forbidden(message, "store_read_only"))
        }
        false => Ok(store),
    }
}

/// Rewrites the file after another program has kept it.
fn scrub(store: &Store) -> Result<(), ApiError> {
    if (0..TRIES).any(|_| store.scrub().is_ok()) {
        return Ok(());
    }
    let message = "the user is deleted, but another program uses the store, so that bytes of the texts \
                   may still be in its file; run `idiolect forget --scrub` after that program has ended";
    Err(ApiError::unavailable(message, "not_scrubbed"))
}

/// Numbers of what was or would be deleted, by kind.
fn removed(forgotten: &Forgotten, index: bool) -> Value {
    json!({
        "reviews": forgotten.reviews,
        "vectors": forgotten.vectors,
        "derived": forgotten.derived,
        "split_rows": forgotten.split_rows,
        "profile_versions": forgotten.profile_versions,
        "items": forgotten.items,
        "contexts": forgotten.contexts,
        "item_names": forgotten.item_names,
        "saved_prefixes": forgotten.saved_prefixes,
        "index": u64::from(index),
    })
}

/// Places that the deletion does not reach.
fn remains(forgotten: &Forgotten) -> Vec<String> {
    let mentions = match forgotten.mentions_by_others {
        0 => None,
        n => Some(format!("{n} texts by others that contain the name")),
    };
    mentions.into_iter().chain(NOT_REACHED.map(str::to_owned)).collect()
}
