//! A connector type with a secret that is there or not, as its settings say.

use std::sync::LazyLock;

use linkspan_domain::{Category, Secret, StreamSpec};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, LeftOut, Omission, Omitted,
    ReadRequest, Source, SourceEntry, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use tokio::sync::Barrier;

/// So many have to stand before a `crowd` until it opens.
pub(crate) const AT_ONCE: usize = 20;

static CROWD: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(AT_ONCE));

/// A shop that needs a host and a password.
pub(crate) struct Shop;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShopSettings {
    /// `down`, `slow` or `crowd`, or any other for a shop that works unless its password is `wrong-planted`.
    host: String,
    #[expect(dead_code, reason = "only its place in the schema counts")]
    port: Option<u16>,
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
            "crowd" => {
                CROWD.wait().await;
                Ok(CheckOutcome::ok("it is open"))
            }
            _ if cx.settings.password.expose() == "wrong-planted" => {
                Err(Failure::Refused(format!("no to {}", cx.settings.password.expose())))
            }
            _ => Ok(CheckOutcome::ok("it is open")),
        }
    }
}

impl Source for Shop {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        if cx.settings.host == "down" {
            return Err(Failure::unavailable("down", "it is down"));
        }
        let orders = StreamSpec {
            name: "orders".parse().unwrap(),
            fields: Vec::new(),
            primary_key: vec!["id".to_owned()],
            cursor_candidates: vec!["updated_at".to_owned()],
            supports_incremental: true,
        };
        let odd = Omitted { name: "a;b".to_owned(), reason: Omission::CharactersInName };
        Ok(Discovered { streams: vec![orders], left_out: LeftOut(vec![odd]) })
    }

    async fn read(_: &Cx<Self>, _: ReadRequest, _: &mut BatchSink) -> Result<(), Failure> {
        Ok(())
    }
}
