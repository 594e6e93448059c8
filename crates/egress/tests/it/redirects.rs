//! What travels along a redirect, and how far.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method};
use linkspan_domain::ports::{Outbound, OutboundBody, OutboundError, OutboundRequest, Redirects};
use url::Url;

use crate::site::{Site, client, empty, failure, get, ok, text};

const LOOPBACK: &str = "127.0.0.1/32";

/// Headers that name a caller, some under names that no list would know.
const CREDENTIALS: &[(&str, &str)] = &[
    ("authorization", "Bearer s3cr3t"),
    ("cookie", "session=s3cr3t"),
    ("x-api-key", "s3cr3t"),
    ("private-token", "s3cr3t"),
    ("x-shopify-access-token", "s3cr3t"),
    ("x-customer", "s3cr3t"),
];

fn credentials() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in CREDENTIALS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    headers.insert("accept", HeaderValue::from_static("application/json"));
    headers
}

/// A site that sends `/1` to `{prefix}/2`, `/2` to `{prefix}/3`, and so on up to `/{length}`, which answers.
async fn chain(length: usize) -> Site {
    Site::answering(move |request| {
        let step: usize = request.split(' ').nth(1).unwrap()[1..].parse().unwrap();
        if step == length {
            return ok("the end");
        }
        empty(302, &format!("location: /{}\r\n", step + 1))
    })
    .await
}

#[tokio::test]
async fn five_redirects_are_followed_and_six_are_not() {
    let (client, five, six) = (client(LOOPBACK), chain(6).await, chain(7).await);
    assert_eq!(text(get(&client, five.url("a.test", "/1")).await).await, "the end");

    let failure = failure(get(&client, six.url("a.test", "/1")).await).await;
    assert!(matches!(failure, OutboundError::TooManyRedirects { limit: 5 }), "{failure:?}");
    assert_eq!(six.requests().len(), 6);
}

#[tokio::test]
async fn a_chain_of_ten_and_a_loop_end() {
    let client = client(LOOPBACK);
    let site = chain(10).await;
    let ten = failure(get(&client, site.url("a.test", "/1")).await).await;
    assert!(matches!(ten, OutboundError::TooManyRedirects { .. }), "{ten:?}");

    let site = Site::answering(|_| empty(307, "location: /\r\n")).await;
    let endless = failure(get(&client, site.url("a.test", "/")).await).await;
    assert!(matches!(endless, OutboundError::TooManyRedirects { .. }), "{endless:?}");
}

#[tokio::test]
async fn the_answer_says_which_url_gave_it() {
    let site = chain(3).await;
    let response = get(&client(LOOPBACK), site.url("a.test", "/1")).await.unwrap();
    assert_eq!(response.url, site.url("a.test", "/3"));
}

#[tokio::test]
async fn a_redirect_that_is_handed_back_leads_nowhere() {
    let site = chain(3).await;
    let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/1"));
    request.redirects = Redirects::HandBack;
    let response = client(LOOPBACK).send(request).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.headers["location"], "/2");
    assert_eq!(response.url, site.url("a.test", "/1"));
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Site::answering(|_| ok("")).await;
    let same = Site::answering(|request| {
        if request.starts_with("GET /again ") { ok("") } else { empty(302, "location: /again\r\n") }
    })
    .await;
    let client = client(LOOPBACK);
    let mut request = OutboundRequest::new(Method::GET, same.url("a.test", "/"));
    request.headers = credentials();
    client.send(request).await.unwrap();
    assert!(CREDENTIALS.iter().all(|(name, _)| same.requests()[1].contains(name)));

    for (host, port) in [("b.test", same.port), ("a.test", other.port)] {
        let location = format!("location: http://{host}:{port}/again\r\n");
        let site = Site::answering(move |_| empty(302, &location)).await;
        let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/"));
        request.headers = credentials();
        client.send(request).await.unwrap();
        let target = if port == same.port { &same } else { &other };
        let seen = target.requests().pop().unwrap();
        assert!(seen.contains("accept: application/json"), "{seen}");
        assert!(!seen.contains("s3cr3t"), "{seen}");
    }
}

#[tokio::test]
async fn credentials_that_were_dropped_do_not_come_back() {
    let site = Site::answering(|request| {
        let port =
            request.lines().find_map(|it| it.strip_prefix("host: a.test:")).map(str::to_owned);
        let port = port.or_else(|| {
            request.lines().find_map(|it| it.strip_prefix("host: b.test:")).map(str::to_owned)
        });
        let port = port.unwrap();
        match request.split(' ').nth(1).unwrap() {
            "/1" => empty(302, &format!("location: http://b.test:{port}/2\r\n")),
            "/2" => empty(302, &format!("location: http://a.test:{port}/3\r\n")),
            _ => ok(""),
        }
    })
    .await;
    let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/1"));
    request.headers = credentials();
    client(LOOPBACK).send(request).await.unwrap();
    let requests = site.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].contains("s3cr3t"));
    assert!(!requests[1].contains("s3cr3t"));
    assert!(!requests[2].contains("s3cr3t"));
}

#[tokio::test]
async fn a_secret_in_the_url_is_not_told_to_the_next_host() {
    let site = Site::answering(|request| {
        if request.starts_with("GET /next ") {
            return ok("");
        }
        empty(302, "location: /next\r\n")
    })
    .await;
    get(&client(LOOPBACK), site.url("a.test", "/?token=s3cr3t")).await.unwrap();
    assert!(!site.requests()[1].contains("s3cr3t"), "{}", site.requests()[1]);
}

#[tokio::test]
async fn bodies_travel_where_the_status_says_so() {
    for (status, expected) in
        [(301, "GET /2 "), (302, "GET /2 "), (303, "GET /2 "), (307, "POST /2 "), (308, "POST /2 ")]
    {
        let site = Site::answering(move |request| {
            if request.contains(" /2 ") { ok("") } else { empty(status, "location: /2\r\n") }
        })
        .await;
        let mut request = OutboundRequest::new(Method::POST, site.url("a.test", "/1"));
        request.body = OutboundBody::Bytes(Bytes::from_static(b"payload"));
        client(LOOPBACK).send(request).await.unwrap();
        let seen = site.requests().pop().unwrap();
        assert!(seen.starts_with(expected), "{status}: {seen}");
        assert_eq!(seen.ends_with("payload"), expected.starts_with("POST"), "{status}: {seen}");
    }
}

#[tokio::test]
async fn a_streamed_body_arrives_once_and_is_not_replayed() {
    let streamed = || {
        let parts = [Ok(Bytes::from_static(b"one,")), Ok(Bytes::from_static(b"two"))];
        OutboundBody::Stream(Box::pin(stream::iter(parts)))
    };
    let site = Site::answering(|_| ok("stored")).await;
    let mut request = OutboundRequest::new(Method::PUT, site.url("a.test", "/"));
    request.body = streamed();
    let client = client(LOOPBACK);
    assert_eq!(text(client.send(request).await).await, "stored");
    assert!(site.requests()[0].contains("one,") && site.requests()[0].contains("two"));

    let site = Site::answering(|_| empty(307, "location: /2\r\n")).await;
    let mut request = OutboundRequest::new(Method::PUT, site.url("a.test", "/"));
    request.body = streamed();
    let failure = failure(client.send(request).await).await;
    assert!(matches!(failure, OutboundError::Broken { .. }), "{failure:?}");
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn a_tunnel_is_not_opened() {
    let site = Site::answering(|_| ok("")).await;
    let request = OutboundRequest::new(Method::CONNECT, site.url("a.test", "/"));
    let failure = failure(client(LOOPBACK).send(request).await).await;
    assert!(matches!(failure, OutboundError::InvalidUrl(_)), "{failure:?}");
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn the_host_header_is_the_host_that_was_checked() {
    let site = Site::answering(|_| ok("")).await;
    let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/"));
    request.headers.insert("host", HeaderValue::from_static("intern.test"));
    client(LOOPBACK).send(request).await.unwrap();
    assert!(site.requests()[0].contains(&format!("host: a.test:{}", site.port)));
    assert!(!site.requests()[0].contains("intern.test"));
}

#[tokio::test]
async fn a_redirect_may_change_to_an_allowed_address() {
    let target = Site::answering(|_| ok("moved")).await;
    let location = format!("location: http://127.0.0.1:{}/\r\n", target.port);
    let site = Site::answering(move |_| empty(308, &location)).await;
    let url: Url = site.url("a.test", "/");
    assert_eq!(text(get(&client(LOOPBACK), url).await).await, "moved");
}
