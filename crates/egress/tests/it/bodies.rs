//! Answers that are too large, too slow, or not what they say.

use std::time::{Duration, Instant};

use async_compression::tokio::write::GzipEncoder;
use http::{HeaderValue, Method};
use linkspan_domain::ports::{Limits, Outbound, OutboundError, OutboundRequest, OutboundResponse};
use tokio::io::AsyncWriteExt;

use crate::site::{Script, Site, client, empty, failure, get, ok, text};

const LOOPBACK: &str = "127.0.0.1/32";
const MIB: u64 = 1024 * 1024;
const PATIENT: Duration = Duration::from_secs(20);

async fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(plain).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

async fn fetch(
    site: &Site,
    body_bytes: u64,
    total: Duration,
) -> Result<OutboundResponse, OutboundError> {
    let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/"));
    request.limits = Limits { body_bytes, total };
    client(LOOPBACK).send(request).await
}

async fn endless(head: &'static str, block: impl Into<Vec<u8>>, pause: Duration) -> Site {
    Site::start(Script::Endless { head, block: block.into().into(), pause }).await
}

fn is_too_large(failure: &OutboundError) -> bool {
    matches!(failure, OutboundError::TooLarge { .. })
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let site = Site::answering(|_| ok("12345")).await;
    assert_eq!(text(fetch(&site, 5, PATIENT).await).await, "12345");
    let failure = failure(fetch(&site, 4, PATIENT).await).await;
    assert_eq!(failure.to_string(), "the answer is larger than 4 bytes");
}

#[tokio::test]
async fn a_compressed_body_is_decompressed() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    answer.extend(gzip(b"hello hello hello").await);
    let site = Site::once(answer).await;
    let response = fetch(&site, 17, PATIENT).await.unwrap();
    assert!(!response.headers.contains_key("content-encoding"));
    assert_eq!(text(Ok(response)).await, "hello hello hello");
    assert!(site.requests()[0].contains("accept-encoding: gzip"), "{}", site.requests()[0]);
}

#[tokio::test]
async fn a_range_of_a_compressed_body_arrives_as_it_is() {
    let packed = gzip(b"hello hello hello").await;
    let mut answer = b"HTTP/1.1 206 Partial Content\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    answer.extend(&packed[..9]);
    let site = Site::once(answer).await;
    let response = fetch(&site, MIB, PATIENT).await.unwrap();
    assert_eq!(response.headers["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), packed[..9]);
}

#[tokio::test]
async fn all_members_of_a_compressed_body_are_read() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: GZip\r\n\r\n".to_vec();
    for member in ["one,", "", "two,", "three"] {
        answer.extend(gzip(member.as_bytes()).await);
    }
    let site = Site::once(answer).await;
    assert_eq!(text(fetch(&site, MIB, PATIENT).await).await, "one,two,three");
}

#[tokio::test]
async fn a_compressed_body_that_ends_early_is_broken() {
    let packed = gzip(b"hello hello hello").await;
    for missing in [1, 8, 12, packed.len() - 3] {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
        answer.extend(&packed[..packed.len() - missing]);
        let site = Site::once(answer).await;
        let failure = failure(fetch(&site, MIB, PATIENT).await).await;
        assert!(matches!(failure, OutboundError::Broken { .. }), "{missing}: {failure:?}");
    }
    let broken_off = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 99\r\n\r\n";
    let site = Site::once([broken_off.as_bytes(), &packed].concat()).await;
    let failure = failure(fetch(&site, MIB, PATIENT).await).await;
    assert!(matches!(failure, OutboundError::Broken { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_body_that_is_empty_needs_no_compression() {
    let site =
        Site::once("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(text(fetch(&site, MIB, PATIENT).await).await, "");
}

#[tokio::test]
async fn compressed_nothing_without_end_stops_at_the_limit() {
    let members = gzip(b"").await.repeat(1000);
    let site =
        endless("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", members, Duration::ZERO).await;
    assert!(is_too_large(&failure(fetch(&site, MIB, PATIENT).await).await));
    assert!(site.sent() < 32 * MIB, "{}", site.sent());
}

#[tokio::test]
async fn a_slow_compressed_body_runs_out_of_time() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    let site = endless(head, gzip(b"").await, Duration::from_millis(20)).await;
    let failure = failure(fetch(&site, MIB, Duration::from_millis(300)).await).await;
    assert!(matches!(failure, OutboundError::TimedOut { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_decompression_bomb_stops_at_the_limit() {
    let zeros = vec![0; 4 * 1024 * 1024];
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    answer.extend(gzip(&zeros).await);
    let packed = answer.len() as u64;
    assert!(packed < MIB / 32, "{packed}");
    let site = Site::once(answer).await;
    assert!(is_too_large(&failure(fetch(&site, MIB, PATIENT).await).await));
}

#[tokio::test]
async fn an_endless_decompression_bomb_stops_at_the_limit() {
    let member = gzip(&vec![0; 256 * 1024]).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    let site = endless(head, member, Duration::ZERO).await;
    assert!(is_too_large(&failure(fetch(&site, 4 * MIB, PATIENT).await).await));
}

#[tokio::test]
async fn an_endless_body_stops_at_the_limit() {
    for (head, block) in [
        ("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 64 * 1024]),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat(),
        ),
    ] {
        let site = endless(head, block, Duration::ZERO).await;
        assert!(is_too_large(&failure(fetch(&site, MIB, PATIENT).await).await));
        // What the sockets had buffered may be on top.
        assert!(site.sent() < 32 * MIB, "{}", site.sent());
    }
}

#[tokio::test]
async fn a_slow_body_runs_out_of_time() {
    let site = endless("HTTP/1.1 200 OK\r\n\r\n", *b"x", Duration::from_millis(20)).await;
    let begin = Instant::now();
    let failure = failure(fetch(&site, MIB, Duration::from_millis(300)).await).await;
    assert!(matches!(failure, OutboundError::TimedOut { seconds: 1, .. }), "{failure:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_fast_body_without_end_runs_out_of_time() {
    let site = endless("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 64 * 1024], Duration::ZERO).await;
    let mut response = fetch(&site, u64::MAX, Duration::from_millis(300)).await.unwrap();
    let failure = loop {
        match futures_util::StreamExt::next(&mut response.body).await.unwrap() {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert!(matches!(failure, OutboundError::TimedOut { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_runs_out_of_time() {
    for head in ["", "HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\nx: y\r\n"] {
        let site = endless(head, *b"", Duration::from_mins(1)).await;
        let failure = failure(fetch(&site, MIB, Duration::from_millis(200)).await).await;
        assert!(matches!(failure, OutboundError::TimedOut { .. }), "{head:?}: {failure:?}");
    }
}

#[tokio::test]
async fn redirects_share_one_time_limit() {
    let site = Site::answering(|_| {
        std::thread::sleep(Duration::from_millis(120));
        empty(302, "location: /\r\n")
    })
    .await;
    let failure = failure(fetch(&site, MIB, Duration::from_millis(300)).await).await;
    assert!(matches!(failure, OutboundError::TimedOut { .. }), "{failure:?}");
}

#[tokio::test]
async fn interim_answers_without_end_run_out_of_time() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let site = endless("", interim, Duration::from_millis(1)).await;
    let failure = failure(fetch(&site, MIB, Duration::from_millis(300)).await).await;
    assert!(
        matches!(failure, OutboundError::TimedOut { .. } | OutboundError::Broken { .. }),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_flood_of_headers_is_cut_off() {
    for block in ["x-flood: 1\r\n".repeat(50), "x".repeat(64 * 1024)] {
        let site = endless("HTTP/1.1 200 OK\r\n", block, Duration::ZERO).await;
        let failure = failure(fetch(&site, MIB, PATIENT).await).await;
        assert!(matches!(failure, OutboundError::Broken { .. }), "{failure:?}");
        assert!(site.sent() < 32 * MIB, "{}", site.sent());
    }
}

#[tokio::test]
async fn a_content_length_is_not_believed() {
    // Too short, so what arrives is not all.
    let site = Site::once("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").await;
    let short = failure(fetch(&site, MIB, PATIENT).await).await;
    assert!(matches!(short, OutboundError::Broken { .. }), "{short:?}");

    // Too long, so the rest is no part of the answer.
    let site = Site::once("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort and more").await;
    assert_eq!(text(fetch(&site, MIB, PATIENT).await).await, "short");

    // Larger than the limit, so nothing is read, though the head is.
    let site = Site::once("HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\nx").await;
    let response = fetch(&site, MIB, PATIENT).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(is_too_large(&response.bytes().await.unwrap_err()));

    for lie in ["5\r\ncontent-length: 6", "-1", "five", "99999999999999999999999999"] {
        let site =
            Site::once(format!("HTTP/1.1 200 OK\r\ncontent-length: {lie}\r\n\r\nshort")).await;
        let failure = failure(fetch(&site, MIB, PATIENT).await).await;
        assert!(matches!(failure, OutboundError::Broken { .. }), "{lie}: {failure:?}");
    }
}

#[tokio::test]
async fn a_head_request_has_no_body_whatever_the_headers_say() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1099511627776\r\n\r\n";
    let site = Site::once(head).await;
    let request = OutboundRequest::new(Method::HEAD, site.url("a.test", "/"));
    assert_eq!(text(client(LOOPBACK).send(request).await).await, "");
}

#[tokio::test]
async fn a_part_of_a_file_comes_uncompressed() {
    let site = Site::answering(|_| ok("part")).await;
    let mut request = OutboundRequest::new(Method::GET, site.url("a.test", "/"));
    request.headers.insert("range", HeaderValue::from_static("bytes=0-3"));
    client(LOOPBACK).send(request).await.unwrap();
    assert!(site.requests()[0].contains("accept-encoding: identity"), "{}", site.requests()[0]);
}

#[tokio::test]
async fn what_is_not_http_is_broken() {
    for noise in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x28", b"-ERR\r\n", b""]
    {
        let site = Site::once(noise).await;
        let failure = failure(get(&client(LOOPBACK), site.url("a.test", "/")).await).await;
        assert!(matches!(failure, OutboundError::Broken { .. }), "{failure:?}");
    }
}
