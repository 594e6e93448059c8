//! Names: who is asked, how often, and which answers are taken.

use std::sync::Arc;

use linkspan_domain::ports::OutboundError;
use linkspan_egress::{EgressPolicy, Resolver, SystemResolver};

use crate::site::{Names, Site, client_with, failure, get, ok, silent, text};

const LOOPBACK: &str = "127.0.0.0/8";

/// A request to a name with these answers is refused, and nobody is dialled.
async fn check_refused(answers: &'static [&'static str]) {
    let site = Site::answering(|_| ok("reached")).await;
    let client = client_with(LOOPBACK, Names::new(&[("a.test", &[answers])]));
    let failure = failure(get(&client, site.url("a.test", "/")).await).await;
    assert!(
        matches!(&failure, OutboundError::Refused { host, .. } if host == "a.test"),
        "{answers:?}: {failure:?}"
    );
    assert_eq!(site.connections(), 0, "{answers:?}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    check_refused(&["10.0.0.1"]).await;
    check_refused(&["169.254.169.254"]).await;
    check_refused(&["100.100.100.200"]).await;
    check_refused(&["0.0.0.0"]).await;
}

#[tokio::test]
async fn a_name_with_only_v6_addresses_inside_is_refused() {
    check_refused(&["::1"]).await;
    check_refused(&["fd00::1"]).await;
    check_refused(&["fe80::1"]).await;
    check_refused(&["::ffff:127.0.0.1"]).await;
    check_refused(&["64:ff9b::7f00:1"]).await;
    check_refused(&["2002:7f00:1::"]).await;
}

#[tokio::test]
async fn a_mixed_answer_is_refused_whatever_comes_first() {
    check_refused(&["127.0.0.1", "10.0.0.1"]).await;
    check_refused(&["10.0.0.1", "127.0.0.1"]).await;
    check_refused(&["1.1.1.1", "192.168.0.1"]).await;
    check_refused(&["127.0.0.1", "fd00::1"]).await;
}

#[tokio::test]
async fn an_alias_into_the_network_is_refused() {
    // What a resolver makes of `a.test CNAME b.test CNAME intern.test`: the addresses at its end.
    check_refused(&["127.0.0.1", "127.0.0.1", "172.16.9.9"]).await;
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_address_that_is_dialled() {
    let site =
        Site::answering(|_| ok("reached").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
            .await;
    // A rebinding name: harmless when it is checked, inside when it is asked again.
    let names = Names::new(&[("a.test", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let client = client_with(LOOPBACK, Arc::clone(&names));

    assert_eq!(text(get(&client, site.url("a.test", "/")).await).await, "reached");
    assert_eq!(names.asked(), ["a.test"]);

    let failure = failure(get(&client, site.url("a.test", "/")).await).await;
    assert!(matches!(failure, OutboundError::Refused { .. }), "{failure:?}");
    assert_eq!(names.asked(), ["a.test", "a.test"]);
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_name_that_turns_inside_during_a_redirect_is_refused() {
    let site = Site::answering(|_| {
        "HTTP/1.1 302 X\r\nlocation: /next\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into()
    })
    .await;
    let names = Names::new(&[("a.test", &[&["127.0.0.1"], &["127.0.0.1", "10.0.0.1"]])]);
    let client = client_with(LOOPBACK, names);
    let failure = failure(get(&client, site.url("a.test", "/")).await).await;
    assert!(matches!(failure, OutboundError::Refused { .. }), "{failure:?}");
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_connection_is_not_shared_between_names() {
    let site = Site::answering(|_| ok("reached")).await;
    // Both names have one address. A client that coalesced would not even ask for the second.
    let names = Names::new(&[("a.test", &[&["127.0.0.1"]]), ("b.test", &[&["10.0.0.1"]])]);
    let client = client_with(LOOPBACK, Arc::clone(&names));
    for _ in 0..2 {
        assert_eq!(text(get(&client, site.url("a.test", "/")).await).await, "reached");
    }
    let failure = failure(get(&client, site.url("b.test", "/")).await).await;
    assert!(matches!(failure, OutboundError::Refused { .. }), "{failure:?}");
    assert_eq!(names.asked(), ["a.test", "b.test"]);
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_unreachable() {
    let client = client_with(LOOPBACK, Names::new(&[("empty.test", &[&[]])]));
    for name in ["empty.test", "unknown.test"] {
        let failure = failure(get(&client, format!("http://{name}/").parse().unwrap()).await).await;
        assert!(matches!(failure, OutboundError::Unreachable { .. }), "{name}: {failure:?}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let client = client_with(LOOPBACK, Names::new(&[]));
    let url = format!("http://{}/", silent().await).parse().unwrap();
    let failure = failure(get(&client, url).await).await;
    assert!(matches!(failure, OutboundError::Unreachable { .. }), "{failure:?}");
}

#[tokio::test]
async fn what_the_operating_system_calls_localhost_is_refused_by_default() {
    let addresses = SystemResolver.addresses("localhost").await.unwrap();
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|address| !EgressPolicy::default().permits(*address)));
    // The resolver of C libraries reads numbers as URLs do; its answers are checked all the same.
    for name in ["127.1", "2130706433", "0x7f.1"] {
        for address in SystemResolver.addresses(name).await.unwrap_or_default() {
            assert!(!EgressPolicy::default().permits(address), "{name}");
        }
    }
}
