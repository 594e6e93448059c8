//! The server over TCP: it drains before it stops.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::platform::{ADMIN, Platform};

async fn started(
    platform: &Platform,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let app = platform.app.clone();
    let server = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        linkspan_api::serve(listener, app, shutdown).await.unwrap();
    });
    (address, stop, server)
}

async fn send(stream: &mut TcpStream, head: &str, body: &str) {
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let length = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_work_are_finished_before_it_stops() {
    let limits = linkspan_api::Limits {
        source: Duration::from_millis(700),
        ..linkspan_api::Limits::default()
    };
    let platform = Platform::with(limits).await;
    let (address, stop, server) = started(&platform).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    send(&mut idle, "GET /healthz", "").await;
    assert!(read(&mut idle).await.starts_with("HTTP/1.1 200"));

    let mut busy = TcpStream::connect(address).await.unwrap();
    let draft = json!({ "connector_type": "shop", "config": { "host": "slow", "password": "x" } });
    send(&mut busy, "POST /v1/workspace-connectors/test", &draft.to_string()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.send(()).unwrap();
    let answer = read(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("request.timed_out"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_wait_for_ever() {
    let limits = linkspan_api::Limits {
        drain: Duration::from_millis(300),
        ..linkspan_api::Limits::default()
    };
    let platform = Platform::with(limits).await;
    let (address, stop, server) = started(&platform).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    let draft = json!({ "connector_type": "shop", "config": { "host": "slow", "password": "x" } });
    send(&mut busy, "POST /v1/workspace-connectors/test", &draft.to_string()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_does_not_hold_the_server() {
    let limits = linkspan_api::Limits {
        request: Duration::from_millis(300),
        ..linkspan_api::Limits::default()
    };
    let platform = Platform::with(limits).await;
    let (address, stop, server) = started(&platform).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/providers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = read(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}
