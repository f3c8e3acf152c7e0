//! The routes without a body, and the parameters of addresses, for the OpenAPI document.

/// A route without a body: method, path, what it answers.
pub(crate) type PlainRoute = (&'static str, &'static str, &'static str);

/// Routes without a body.
pub(crate) const PLAIN_ROUTES: &[PlainRoute] = &[
    ("get", "/health", "whether the models are loaded; needs no key"),
    ("get", "/metrics", "counters for Prometheus, as text"),
    ("get", "/v1/models", "the models: plain, personal and the sentence encoder"),
    ("get", "/v1/models/{id}", "one model"),
    ("get", "/v1/openapi.json", "this document"),
    ("get", "/tokenizer_info", "special tokens and size of the vocabulary"),
    ("get", "/api/about", "version, models, store, task and methods"),
    ("get", "/api/users", "the users, those with the most texts first"),
    ("get", "/api/users/{id}", "one user with their texts, oldest first"),
    ("delete", "/api/users/{id}", "deletes the user and everything derived from their texts"),
    ("get", "/api/users/{id}/forget", "what would be deleted with the user"),
    ("get", "/api/users/{id}/export", "everything that is held about the user, as a file"),
    ("get", "/api/users/{id}/profile", "statements of what sets the user apart"),
    ("get", "/api/users/{id}/neighbours", "the users who write most alike, nearest first"),
    ("get", "/api/items", "the items, those with the most texts first"),
    ("get", "/api/items/{id}", "one item with the texts on it, oldest first"),
    ("get", "/api/map", "the users in the plane, or cells of them; 202 while it is being made"),
    ("get", "/api/evaluations", "reports of evaluations, and evaluations that run"),
    ("get", "/api/evaluations/{id}/report", "one report, as HTML"),
    (
        "post",
        "/api/evaluations/{id}/ticket",
        "an address of the report that needs no key, once, for a frame of a browser",
    ),
    ("get", "/api/guess", "two texts on one item and two people: who wrote which"),
    ("get", "/api/representatives", "the peers that a user is compared with on an item"),
];

/// A parameter of an address.
pub(crate) struct QueryParameter {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    /// JSON type.
    pub(crate) kind: &'static str,
    pub(crate) is_required: bool,
    pub(crate) about: &'static str,
}

const fn query(
    path: &'static str,
    name: &'static str,
    kind: &'static str,
    about: &'static str,
) -> QueryParameter {
    QueryParameter { path, name, kind, is_required: false, about }
}

/// The parameters of addresses.
pub(crate) const QUERIES: &[QueryParameter] = &[
    query("/api/users", "min_reviews", "integer", "minimum number of texts [default: 1]"),
    query("/api/users", "query", "string", "part of the name, in any case"),
    query("/api/users", "limit", "integer", "maximum number of users [default: 1000]"),
    query(
        "/api/users/{id}/profile",
        "format",
        "string",
        "json, markdown, system-prompt, messages or logit-bias [default: json]",
    ),
    query("/api/users/{id}/neighbours", "k", "integer", "number of users, up to 100 [default: 10]"),
    query("/api/items", "query", "string", "part of the id or the title, in any case"),
    query("/api/items", "limit", "integer", "maximum number of items [default: 1000]"),
    query("/api/map", "cell", "integer", "cell whose users are told"),
    query("/api/evaluations/{id}/report", "ticket", "string", "ticket in place of a key"),
    query("/api/guess", "seed", "integer", "seed of the question [default: a random one]"),
    QueryParameter {
        is_required: true,
        ..query("/api/representatives", "user", "string", "the user")
    },
    QueryParameter {
        is_required: true,
        ..query("/api/representatives", "item", "string", "the item")
    },
    query("/api/representatives", "k", "integer", "number of peers, up to 100 [default: 4]"),
    query("/api/representatives", "seed", "integer", "seed of the choice [default: 42]"),
];
