//! What the environment of the process cannot change.

use std::{
    env::{current_exe, var_os},
    process::Command,
};

use crate::site::{Site, client, get, ok, text};

const CHILD: &str = "LINKSPAN_EGRESS_TEST_CHILD";

/// Runs itself again in a process whose environment names a proxy where nobody listens.
#[tokio::test]
async fn proxy_variables_are_ignored() {
    if var_os(CHILD).is_none() {
        let mut child = Command::new(current_exe().unwrap());
        child.args(["--exact", "environment::proxy_variables_are_ignored"]).env(CHILD, "1");
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            child.env(name, "http://127.0.0.1:9").env(name.to_uppercase(), "http://127.0.0.1:9");
        }
        child.env("NO_PROXY", "").env("no_proxy", "");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let site = Site::answering(|_| ok("direct")).await;
    let guarded = client("127.0.0.1/32");
    assert_eq!(text(get(&guarded, site.url("a.test", "/")).await).await, "direct");
    assert_eq!(text(get(&guarded, site.url("127.0.0.1", "/")).await).await, "direct");
    // A client that asks the environment is led astray here, so the variables do have an effect.
    let astray = reqwest::Client::builder().build().unwrap();
    assert!(astray.get(site.url("127.0.0.1", "/")).send().await.is_err());
}

#[test]
fn a_process_without_cryptography_is_told_so() {
    // Without a process of its own, another test may have installed one by now.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let failure = linkspan_egress::GuardedClient::new(linkspan_egress::EgressPolicy::default());
        let failure = failure.err().unwrap();
        assert!(matches!(failure, linkspan_egress::ClientError::NoCryptoProvider), "{failure:?}");
    }
}
