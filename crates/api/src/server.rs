//! Serving the API over TCP.

use std::{future::Future, io, sync::Arc};

use poem::{
    Endpoint, EndpointExt, Response, Route, Server, listener::TcpAcceptor, middleware::Compression,
    web::CompressionAlgo,
};
use tokio::net::TcpListener;

use crate::{App, door::Door, openapi, pages::Pages, resources::Resources, routes::Routes};

/// The API as an endpoint, for a server or a test.
pub fn endpoint(app: App) -> impl Endpoint<Output = Response> {
    let app = Arc::new(app);
    let route = Route::new()
        .at("/openapi.json", openapi::document_endpoint())
        .at("/docs", openapi::docs_endpoint())
        .nest("/", openapi::service());
    // Brotli at its default is a hundred times slower than gzip, for a few per cent.
    let compression = Compression::new().algorithms([CompressionAlgo::GZIP]);
    Door {
        pages: Arc::new(Pages::new(Arc::clone(&app.snapshots))),
        app,
        routes: Routes::of::<Resources>(),
        inner: route.with(compression).map_to_response(),
    }
}

/// Serves `app` on `listener` until `shutdown` ends, then finishes the requests at work, as far as
/// [`Limits::drain`](crate::Limits::drain) lets it.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let limits = app.limits;
    let acceptor = TcpAcceptor::from_tokio(listener).map_err(ServeError)?;
    let server = Server::new_with_acceptor(acceptor).name("api").idle_timeout(limits.idle);
    let outcome =
        server.run_with_graceful_shutdown(endpoint(app), shutdown, Some(limits.drain)).await;
    outcome.map_err(ServeError)
}

/// The server could not go on.
#[derive(Debug, thiserror::Error)]
#[error("the API server failed")]
pub struct ServeError(#[source] io::Error);
