//! Users, items, texts and splits of the store; and deletion.

use idiolect_core::corpus::split::{self, FunnelStep, Preset, SplitParameters, SplitPart};
use idiolect_core::corpus::{ForgetScope, NOT_REACHED, ReviewId};
use idiolect_core::peers::{index_folder, remove_index};
use idiolect_engine::progress::Progress;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::settings::named;

/// Deletion of a user, or of some of their texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetArgs {
    user: String,
    item: Option<String>,
    review: Option<i64>,
    dry_run: bool,
}

/// The options of `idiolect split`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitArgs {
    name: String,
    preset: String,
    /// Thresholds that differ from the preset's, by the names of the results.
    thresholds: Map<String, Value>,
}

/// Numbers of reviews, users and items.
pub(crate) fn counts(work: &EngineParts) -> Result<String> {
    Ok(serde_json::to_string(&work.store()?.counts()?)?)
}

/// The object of `idiolect users --json`.
pub(crate) fn users(work: &EngineParts, min_reviews: u64, limit: Option<usize>) -> Result<String> {
    let users = work.store()?.users(min_reviews)?;
    let shown = &users[..limit.unwrap_or(users.len()).min(users.len())];
    Ok(json!({ "total": users.len(), "users": shown }).to_string())
}

/// The items with the numbers of their reviews.
pub(crate) fn items(work: &EngineParts) -> Result<String> {
    Ok(serde_json::to_string(&work.store()?.items()?)?)
}

/// An item with its description.
pub(crate) fn item(work: &EngineParts, id: &str) -> Result<String> {
    Ok(serde_json::to_string(&work.store()?.item(id)?)?)
}

/// A user's reviews, oldest first.
pub(crate) fn history(work: &EngineParts, user: &str) -> Result<String> {
    Ok(serde_json::to_string(&work.store()?.history(user)?)?)
}

/// The reviews of an item, oldest first.
pub(crate) fn reviews_of(work: &EngineParts, item: &str) -> Result<String> {
    Ok(serde_json::to_string(&work.store()?.reviews_of(item)?)?)
}

/// Deletes, and returns the object of `idiolect forget --json`.
pub(crate) fn forget(work: &EngineParts, args: &ForgetArgs) -> Result<String> {
    let scope = match (&args.item, args.review) {
        (Some(_), Some(_)) => return Err(CallFailure::argument("give item or review, not both")),
        (Some(item), None) => ForgetScope::Item(item.clone()),
        (None, Some(id)) => ForgetScope::Review(ReviewId(id)),
        (None, None) => ForgetScope::User,
    };
    let store = work.store()?;
    let mut forgotten = store.would_forget(&args.user, &scope)?;
    let index_removed = index_folder(store.path()).is_dir();
    if !args.dry_run {
        // First, since after an interruption the user may be gone, and a rerun would not get here.
        remove_index(&store)?;
        forgotten = store.forget(&args.user, &scope)?;
        // One that another process made of the old rows meanwhile.
        remove_index(&store)?;
    }
    let told = json!({
        "user": args.user,
        "dry_run": args.dry_run,
        "forgotten": forgotten,
        "index_removed": index_removed,
        "files_removed": [],
        "not_reached": NOT_REACHED,
    });
    Ok(told.to_string())
}

/// Makes a split, and returns the object of `idiolect split --json`.
pub(crate) fn split(
    work: &EngineParts,
    args: &SplitArgs,
    progress: &dyn Progress,
) -> Result<String> {
    let preset: Preset = named("preset", &args.preset)?;
    let parameters = parameters(preset, &args.thresholds)?;
    let store = work.store()?;
    let (split, left) = split::make(&store, &args.name, &parameters, progress)?;
    let n = |part| split.held_out(part).count();
    let Some(FunnelStep { users, items, reviews, .. }) = left.last() else {
        return Ok("{}".to_owned());
    };
    let told = json!({
        "name": args.name,
        "preset": preset,
        "parameters": parameters,
        "users": users,
        "items": items,
        "reviews": reviews,
        "train": n(SplitPart::Train),
        "val": n(SplitPart::Val),
        "test": n(SplitPart::Test),
        "left": left,
    });
    Ok(told.to_string())
}

fn parameters(preset: Preset, changes: &Map<String, Value>) -> Result<SplitParameters> {
    let mut all = json!(SplitParameters::of(preset));
    for (name, value) in changes.iter().filter(|(_, value)| !value.is_null()) {
        let known = all.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
        let Some(slot) = all.get_mut(name) else {
            let known = known.unwrap_or_default().join(", ");
            return Err(CallFailure::argument(format!(
                "there is no threshold `{name}`; they are {known}"
            )));
        };
        *slot = value.clone();
        serde_json::from_value::<SplitParameters>(all.clone())
            .map_err(|error| CallFailure::argument(format!("{name}: {error}")))?;
    }
    Ok(serde_json::from_value(all)?)
}
