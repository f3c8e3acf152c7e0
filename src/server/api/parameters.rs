//! Parameters of addresses.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;

use crate::error::ApiError;
use crate::route_list::QUERIES;

/// The parameters of an address, all optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parameters {
    pub(super) min_reviews: Option<u64>,
    pub(super) limit: Option<usize>,
    pub(super) k: Option<usize>,
    pub(super) seed: Option<u64>,
    pub(super) user: Option<String>,
    pub(super) item: Option<String>,
    pub(super) query: Option<String>,
    pub(super) cell: Option<usize>,
    pub(super) format: Option<String>,
}

/// Parameters of an address, or the reason why they cannot be read.
pub(super) type GivenParameters = Result<Query<Parameters>, QueryRejection>;

/// The parameters, if the route knows each of them.
pub(super) fn parameters(path: &str, given: GivenParameters) -> Result<Parameters, ApiError> {
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
        ("query", given.query.is_some()),
        ("cell", given.cell.is_some()),
        ("format", given.format.is_some()),
    ];
    let knows = |name: &str| QUERIES.iter().any(|query| query.path == path && query.name == name);
    match names.iter().find(|(name, is_given)| *is_given && !knows(name)) {
        Some((name, _)) => Err(ApiError::field(*name, format!("{path} does not take `{name}`"))),
        None => Ok(given),
    }
}
