//! A connector type with a secret that is there or not, as its settings say.

use linkspan_domain::{Category, Secret, StreamSpec};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Failure, ReadRequest, Source, SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;

/// A shop that needs a host and a password.
pub(crate) struct Shop;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopSettings {
    /// `down` or `slow`, or any other for a shop that works.
    host: String,
    #[expect(dead_code, reason = "only its place in the schema counts")]
    port: Option<u16>,
    #[expect(dead_code, reason = "only that it is secret counts")]
    password: Secret,
}

impl ConnectorType for Shop {
    const KEY: &'static str = "shop";
    const TITLE: &'static str = "Shop";
    const VERSION: Version = Version::new(1, 2, 0);
    const CATEGORY: Category = Category::Test;
    const ALIASES: &'static [&'static str] = &["store"];
    type Settings = ShopSettings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        match cx.settings.host.as_str() {
            "down" => Err(Failure::unavailable("down", "it is down")),
            "slow" => std::future::pending().await,
            _ => Ok(CheckOutcome::ok("it is open")),
        }
    }
}

impl Source for Shop {
    async fn discover(cx: &Cx<Self>) -> Result<Vec<StreamSpec>, Failure> {
        if cx.settings.host == "down" {
            return Err(Failure::unavailable("down", "it is down"));
        }
        Ok(vec![StreamSpec {
            name: "orders".parse().unwrap(),
            fields: Vec::new(),
            primary_key: vec!["id".to_owned()],
            cursor_candidates: vec!["updated_at".to_owned()],
            supports_incremental: true,
        }])
    }

    async fn read(_: &Cx<Self>, _: ReadRequest, _: &mut BatchSink) -> Result<(), Failure> {
        Ok(())
    }
}
