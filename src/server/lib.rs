//! HTTP API of a language model, a sentence encoder and a store: OpenAI's routes, vLLM's additions
//! for scores and tokens, and personal models `NAME+METHOD`, which write as a user.
//!
//! A [`Server`] listens from [`Server::bind`] on and answers 503 until [`Server::serve`] gives it its
//! models. Every field of a request is applied, documented as not used, or refused by name; one table
//! (`fields`) says which, checks the values, and makes the OpenAPI document.
//!
//! Safety: every request passes the `guard`, which checks `Host`, `Origin` and the key before any
//! route. Bodies, connections, waiting requests and times are bounded. Texts are never logged.
//!
//! ```no_run
//! use idiolect_engine::lm::{Lm, LoadOptions};
//! use idiolect_engine::model::catalog::{Catalog, SMALL_LM, default_models_dir};
//! use idiolect_server::{ServedModels, Server, ServerOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:8080".parse()?, ServerOptions::default())?;
//! let catalog = Catalog::load(&default_models_dir()?)?;
//! let lm = Lm::load(&catalog.lm(SMALL_LM)?, &LoadOptions::default())?;
//! server.serve(ServedModels::new(lm));
//! server.wait(|| false);
//! # Ok(())
//! # }
//! ```

mod answer;
mod api;
mod app;
mod body;
mod chat;
mod choices;
mod completions;
mod connection;
mod echo;
mod embeddings;
mod error;
mod fields;
mod guard;
mod guesses;
mod ids;
mod keys;
mod logprobs;
mod map_jobs;
mod messages;
mod metrics;
mod model_names;
mod models;
mod openapi;
mod options;
mod page;
mod path_name;
mod personal;
mod plain;
mod responses;
mod route_list;
mod routes;
mod run;
mod score_memo;
mod server;
mod sse;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod text_options;
mod tickets;
mod tokens;
mod write_deadline;

pub use error::Error;
pub use keys::ApiKeys;
pub use models::{PersonalSettings, ServedModels};
pub use options::ServerOptions;
pub use server::Server;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
