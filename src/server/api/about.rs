//! `GET /api/about`: what the server serves, for a page that shows it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use idiolect_core::corpus::Store;
use idiolect_core::methods::Method;
use serde_json::{Value, json};

use crate::PersonalSettings;
use crate::app::App;
use crate::error::ApiError;
use crate::run::within;

/// Version, models, store, task and methods. The store's folder is not told.
pub(super) async fn about(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let models = app.models()?;
    let store = match &models.personal {
        Some(_) => {
            let shared = Arc::clone(&app);
            let work =
                tokio::task::spawn_blocking(move || store(shared.models()?.personal.as_ref()));
            within(&app, async {
                work.await.unwrap_or_else(|error| Err(ApiError::internal("read the store", &error)))
            })
            .await?
        }
        None => StoreFacts { store: Value::Null, rating: Value::Null },
    };
    let methods =
        Method::all().map(|method| json!({ "name": method.name(), "about": method.about() }));
    let task = models.personal.as_ref().map(|personal| &personal.task);
    let dimensions = task.into_iter().flat_map(|task| &task.standard);
    let dimensions = dimensions.map(|known| json!({ "key": known.key, "name": known.name }));
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "lm": models.lm.name(),
        // Its texts rarely make sense.
        "lm_is_small": models.lm.is_small(),
        "encoder": models.encoder.as_ref().map(|encoder| encoder.name()),
        "store": store.store,
        "task": task.map(|task| json!({
            "name": task.name,
            "text": task.name,
            "about": task.about,
            "shows_context": task.shows_context(),
        })),
        "methods": methods.collect::<Vec<Value>>(),
        "default_method": Method::IDIOLECT.name(),
        "rating": store.rating,
        "dimensions": dimensions.collect::<Vec<Value>>(),
    })))
}

/// The store and the range of ratings in it.
struct StoreFacts {
    store: Value,
    rating: Value,
}

fn store(personal: Option<&PersonalSettings>) -> Result<StoreFacts, ApiError> {
    let Some(personal) = personal else {
        return Ok(StoreFacts { store: Value::Null, rating: Value::Null });
    };
    let failed = |error| ApiError::of_store(&error, false);
    let store = Store::open_existing(&personal.store).map_err(failed)?;
    let counts = store.counts().map_err(failed)?;
    let rating = store.rating_range().map_err(failed)?;
    Ok(StoreFacts {
        store: json!({
            "name": personal.store.file_name().map(|name| name.to_string_lossy()),
            "users": counts.users,
            "items": counts.items,
            "reviews": counts.reviews,
            "read_only": store.is_read_only(),
        }),
        // Few ratings may not reach the ends of the usual scale.
        rating: match rating {
            Some((least, most)) => json!({ "min": least.min(1.0), "max": most.max(5.0) }),
            None => Value::Null,
        },
    })
}
