//! The routes without a connection, for fuzz targets.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};

use crate::app::App;
use crate::routes::router;
use crate::{ServedModels, ServerOptions};

/// A server that answers requests which it is handed.
pub struct InProcess {
    service: TowerToHyperService<axum::Router>,
    runtime: Runtime,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct PlainRequest {
    pub method: String,
    pub address: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A whole answer; streamed ones are collected.
#[derive(Debug, Clone)]
pub struct PlainAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

impl InProcess {
    /// Starts a server with its models.
    pub fn new(options: ServerOptions, models: ServedModels) -> Self {
        let app = Arc::new(App::new(([127, 0, 0, 1], 0).into(), options));
        app.set_models(models);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { service: TowerToHyperService::new(router(app)), runtime }
    }

    /// Answers a request; `None` if it is none of HTTP.
    pub fn answer(&self, request: PlainRequest) -> Option<PlainAnswer> {
        let mut builder =
            Request::builder().method(request.method.as_bytes()).uri(request.address.as_bytes());
        for (name, value) in &request.headers {
            builder = builder.header(name.as_bytes(), value.as_bytes());
        }
        let request = builder.body(Body::from(request.body)).ok()?;
        self.runtime.block_on(async {
            let response = self.service.call(request).await.unwrap();
            let (head, body) = response.into_parts();
            let kind = head.headers.get(header::CONTENT_TYPE);
            Some(PlainAnswer {
                status: head.status.as_u16(),
                content_type: kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned),
                body: body
                    .collect()
                    .await
                    .map_or_else(|_| Vec::new(), |body| body.to_bytes().to_vec()),
            })
        })
    }
}
