//! The page of `idiolect serve`: its built files, compiled in from `web/dist`, and the headers that
//! confine it.
//!
//! The files hold no data, so they need no key. Everything they show they ask from `/api`, which
//! does. Their names stay the same from version to version; browsers ask each time whether their copy
//! is still the newest (`ETag`).

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::app::App;

/// Allows scripts, styles, images and requests of this server alone, nothing inline, and no page of
/// others around this one. Frames of this server show reports of `evaluate`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct PageFile {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

static FILES: [PageFile; 4] = [
    PageFile {
        path: "/",
        media_type: "text/html; charset=utf-8",
        bytes: include_bytes!("web/dist/index.html"),
    },
    PageFile {
        path: "/assets/page.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("web/dist/assets/page.js"),
    },
    PageFile {
        path: "/assets/page.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("web/dist/assets/page.css"),
    },
    PageFile {
        path: "/favicon.svg",
        media_type: "image/svg+xml",
        bytes: include_bytes!("web/dist/favicon.svg"),
    },
];

/// The routes of the files.
pub(crate) fn routes() -> Router<Arc<App>> {
    FILES.iter().enumerate().fold(Router::new(), |router, (index, file)| {
        router.route(file.path, get(move |request: Request| async move { answer(index, &request) }))
    })
}

/// Whether an address is that of a file of the page.
pub(crate) fn is_file(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The file, or 304 if the browser has it already.
fn answer(index: usize, request: &Request) -> Response {
    let (file, tag) = (&FILES[index], &TAGS[index]);
    let fixed = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    let tag = HeaderValue::from_str(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    let headers = [
        fixed(header::CONTENT_TYPE, file.media_type),
        fixed(header::CACHE_CONTROL, "no-cache"),
        fixed(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        fixed(header::REFERRER_POLICY, "no-referrer"),
        fixed(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        fixed(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::ETAG, tag),
    ];
    match is_known(request.headers(), &TAGS[index]) {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, file.bytes).into_response(),
    }
}

/// Whether `If-None-Match` names a tag.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut given = given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    given.any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == tag)
}

/// Tags of the files: hashes of their bytes.
static TAGS: LazyLock<[String; 4]> = LazyLock::new(|| {
    FILES.each_ref().map(|file| {
        let hash = Sha256::digest(file.bytes);
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    })
});
