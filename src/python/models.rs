//! The catalog of models and the list of methods.

use std::path::PathBuf;

use idiolect_core::methods::{Method, MethodOptions};
use idiolect_engine::model::ModelKind;
use idiolect_engine::model::catalog::Entry;
use idiolect_engine::model::fetch::{Network, fetch, offline_by_environment};
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::parts::catalog;
use crate::progress::CallProgress;

/// A model of the catalog, as `idiolect models list --json` tells it.
#[derive(Serialize)]
struct ModelObject<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    size: Option<u64>,
    present: bool,
    path: Option<String>,
    place: Option<idiolect_engine::model::catalog::FolderKind>,
}

/// All models of the catalog.
#[pyfunction]
#[pyo3(signature = (models_dir=None))]
pub(crate) fn models(py: Python<'_>, models_dir: Option<PathBuf>) -> PyResult<String> {
    CallProgress::run(py, None, |_| {
        let catalog = catalog(models_dir)?;
        let listed: Vec<ModelObject<'_>> = catalog
            .entries()
            .map(|entry| {
                let located = catalog.glimpse(entry);
                let path = located.as_ref().map(|located| match entry.kind {
                    ModelKind::Lm => located.file(&entry.files[0]),
                    ModelKind::Encoder => located.folder.clone(),
                });
                let absolute = path.map(|path| std::path::absolute(&path).unwrap_or(path));
                ModelObject {
                    entry,
                    size: entry.size(),
                    present: located.is_some(),
                    place: located.map(|located| located.place),
                    path: absolute.map(|path| path.display().to_string()),
                }
            })
            .collect();
        Ok(serde_json::to_string(&listed)?)
    })
}

/// Makes sure that a model is on this machine.
#[pyfunction]
#[pyo3(signature = (name, models_dir=None, offline=false, progress=None))]
pub(crate) fn fetch_model(
    py: Python<'_>,
    name: &str,
    models_dir: Option<PathBuf>,
    offline: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    CallProgress::run(py, progress, |progress| {
        let catalog = catalog(models_dir)?;
        let network = match offline || offline_by_environment() {
            true => Network::Forbidden,
            false => Network::Allowed,
        };
        let fetched = fetch(&catalog, name, network, progress)?;
        let entry = catalog.entry(name)?;
        let path = match entry.kind {
            ModelKind::Lm => fetched.located.file(&entry.files[0]),
            ModelKind::Encoder => fetched.located.folder.clone(),
        };
        let path = path.display().to_string();
        Ok(json!({ "name": name, "path": path, "source": fetched.source }).to_string())
    })
}

/// All methods.
#[pyfunction]
pub(crate) fn methods() -> String {
    let options = MethodOptions::default();
    let told = Method::all().map(|method| {
        json!({
            "name": method.name(),
            "about": method.about(),
            "source": method.source(),
            "needs_history": method.needs_history(),
            "needs_encoder": method.needs_peers(&options),
        })
    });
    told.collect::<serde_json::Value>().to_string()
}
