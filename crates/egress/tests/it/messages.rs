//! What errors say, and what they keep to themselves.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use linkspan_domain::ports::{Limits, Outbound, OutboundBody, OutboundError, OutboundRequest};
use url::Url;

use crate::site::{Script, Site, client, empty, failure, ok, silent, written};

const SECRET: &str = "s3cr3t";

/// The error of a request that carries a secret in every place that has room for one.
async fn failed(url: Url, body_bytes: u64) -> OutboundError {
    let mut request = OutboundRequest::new(Method::POST, url);
    request.headers.insert("authorization", HeaderValue::from_static("Bearer s3cr3t"));
    request.headers.insert("cookie", HeaderValue::from_static("s=s3cr3t"));
    request.body = OutboundBody::Bytes(Bytes::from_static(b"password=s3cr3t"));
    request.limits = Limits { body_bytes, total: Duration::from_millis(500) };
    failure(client("127.0.0.1/32").send(request).await).await
}

#[tokio::test]
async fn no_error_repeats_a_secret() {
    let path = "/?token=s3cr3t#s3cr3t";
    let once = async |answer: &str| Site::once(answer).await.url("a.test", path);
    let slow = Script::Endless {
        head: "HTTP/1.1 200 OK\r\n\r\n",
        block: (*b"s3cr3t").into(),
        pause: Duration::from_millis(50),
    };
    let slow = Site::start(slow).await;
    let large = Site::answering(|_| ok("s3cr3t s3cr3t")).await;
    let loops = Site::answering(|_| empty(307, "location: /?token=s3cr3t\r\n")).await;
    let redirects = [
        "http://10.0.0.1/?token=s3cr3t",
        "http://user:s3cr3t@a.test/",
        "http://a.test:99999/?token=s3cr3t",
        "ftp://s3cr3t@a.test/s3cr3t",
        "http://unknown.test/?token=s3cr3t",
    ];
    let mut urls = vec![
        // Refused, and no URL at all.
        Url::parse("http://10.0.0.1/?token=s3cr3t").unwrap(),
        Url::parse("http://user:s3cr3t@a.test/").unwrap(),
        Url::parse("unix:/s3cr3t").unwrap(),
        // Unreachable by name and by port.
        Url::parse("http://unknown.test/?token=s3cr3t").unwrap(),
        Url::parse(&format!("http://{}/?token=s3cr3t", silent().await)).unwrap(),
        Url::parse(&format!("https://a.test:{}/?token=s3cr3t", large.port)).unwrap(),
        // Broken in the head, in the body and in the compression.
        once("s3cr3t").await,
        once("HTTP/1.1 200 OK\r\ns3cr3t\r\n\r\n").await,
        once("HTTP/1.1 200 OK\r\ncontent-length: s3cr3t\r\n\r\n").await,
        once("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ns3cr3t").await,
        once("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ns3cr3t\r\n").await,
        once("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\ns3cr3t").await,
        // Too slow, too large, too many.
        slow.url("a.test", path),
        large.url("a.test", path),
        loops.url("a.test", path),
    ];
    for location in redirects {
        let answer = empty(302, &format!("location: {location}\r\n"));
        urls.push(once(&answer).await);
    }
    for (case, url) in urls.into_iter().enumerate() {
        let limit = if url.port() == Some(large.port) { 4 } else { 1024 };
        let failure = failed(url, limit).await;
        let written = written(&failure);
        assert!(!written.contains(SECRET), "{case}: {written}");
        assert!(!written.contains("token="), "{case}: {written}");
    }
}

#[tokio::test]
async fn an_error_says_what_failed_on_what() {
    let refused = failed(Url::parse("http://10.0.0.1/").unwrap(), 1).await;
    assert!(refused.to_string().contains("10.0.0.1"), "{refused}");
    assert!(refused.to_string().contains("private network"), "{refused}");
    let unknown = failed(Url::parse("http://unknown.test/").unwrap(), 1).await;
    assert_eq!(unknown.to_string(), "unknown.test could not be reached");
    assert!(written(&unknown).contains("no such name"), "{}", written(&unknown));
}
