//! Hosts of databases, exempt and guarded.

use std::{net::SocketAddr, sync::Arc};

use linkspan_domain::ports::OutboundError;
use linkspan_egress::{DatabaseHosts, HostGuard};

use crate::site::Names;

fn guard(allow: &str, databases: DatabaseHosts) -> (HostGuard, Arc<Names>) {
    let names = Names::new(&[
        ("db.test", &[&["203.0.114.7"]]),
        ("intern.test", &[&["10.0.0.5"]]),
        ("mixed.test", &[&["203.0.114.7", "10.0.0.5"]]),
        ("metadata.google.internal", &[&["203.0.114.7"]]),
    ]);
    let resolver = Arc::clone(&names);
    (HostGuard::with_resolver(allow.parse().unwrap(), databases, resolver), names)
}

#[tokio::test]
async fn an_exempt_database_is_not_even_resolved() {
    let (guard, names) = guard("", DatabaseHosts::default());
    for host in ["intern.test", "127.0.0.1", "unknown.test", "/run/postgresql"] {
        guard.permit_host(host, 5432).await.unwrap();
    }
    assert!(names.asked().is_empty());
}

#[tokio::test]
async fn a_guarded_database_is_under_the_policy() {
    let (guard, _) = guard("", DatabaseHosts::Guarded);
    guard.permit_host("db.test", 5432).await.unwrap();
    guard.permit_host("203.0.114.7", 5432).await.unwrap();
    for host in [
        "intern.test",
        "mixed.test",
        "metadata.google.internal",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "１２７.0.0.1",
        "0",
        "::1",
        "[::1]",
        "::ffff:10.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
    ] {
        let failure = guard.permit_host(host, 5432).await.unwrap_err();
        assert!(matches!(failure, OutboundError::Refused { .. }), "{host}: {failure:?}");
    }
}

#[tokio::test]
async fn an_allowed_network_is_open_to_databases() {
    let (guard, _) = guard("10.0.0.0/24,fd00::/8", DatabaseHosts::Guarded);
    for host in ["intern.test", "mixed.test", "10.0.0.9", "fd00::9", "[fd00::9]"] {
        guard.permit_host(host, 22).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_host_is_not_guarded_away_silently() {
    let (guard, _) = guard("", DatabaseHosts::Guarded);
    for host in ["", "/run/postgresql", "@abstract", "a b", "fe80::1%eth0", "user@db.test"] {
        let failure = guard.permit_host(host, 5432).await.unwrap_err();
        assert!(matches!(failure, OutboundError::InvalidUrl(_)), "{host}: {failure:?}");
    }
    let failure = guard.permit_host("unknown.test", 5432).await.unwrap_err();
    assert!(matches!(failure, OutboundError::Unreachable { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_driver_that_takes_addresses_gets_the_checked_ones() {
    let expected: Vec<SocketAddr> = vec!["10.0.0.5:22".parse().unwrap()];
    for (allow, databases) in [("10.0.0.0/8", DatabaseHosts::Guarded), ("", DatabaseHosts::Exempt)]
    {
        let (guard, names) = guard(allow, databases);
        assert_eq!(guard.addresses("intern.test", 22).await.unwrap(), expected);
        assert_eq!(names.asked(), ["intern.test"]);
    }
}

#[test]
fn the_setting_is_one_of_two_words() {
    assert_eq!("exempt".parse(), Ok(DatabaseHosts::Exempt));
    assert_eq!("guarded".parse(), Ok(DatabaseHosts::Guarded));
    for word in ["", "Guarded", "true", "none"] {
        assert!(word.parse::<DatabaseHosts>().is_err(), "{word}");
    }
}
