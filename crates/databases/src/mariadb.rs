//! MariaDB: every table and view that the credentials may read.

use linkspan_domain::{Category, Condition, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, PoolCache, Pushed,
    ReadRequest, Source, SourceEntry, source,
};
use semver::Version;
use serde_json::Value;
use sqlx::MySqlPool;

use crate::mysql_family::{self as family, Settings};

pub(crate) struct Mariadb;

impl ConnectorType for Mariadb {
    const KEY: &'static str = "mariadb";
    const TITLE: &'static str = "MariaDB";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Database;
    const TAGS: &'static [&'static str] = &["sql", "mariadb"];
    const DOCS_URL: Option<&'static str> = Some("https://mariadb.com/kb/en/documentation/");
    const IS_QUERYABLE: bool = true;
    const SYSTEM: &'static str = "mysql";
    type Settings = Settings;
    type Shared = PoolCache<MySqlPool>;

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    fn accept(settings: &Settings) -> Result<(), Failure> {
        settings.connection().map(drop)
    }

    fn place(settings: &Settings) -> Option<Value> {
        Some(settings.connection().ok()?.place())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        family::whole::check(cx).await
    }
}

impl Source for Mariadb {
    async fn discover(cx: &Cx<Self>) -> Result<Discovered, Failure> {
        family::whole::discover(cx).await
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        family::whole::read(cx, request, out).await
    }

    async fn push_down(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: &[Condition],
    ) -> Result<Vec<Pushed>, Failure> {
        family::whole::push_down(cx, stream, parts).await
    }

    async fn split(
        cx: &Cx<Self>,
        stream: &StreamName,
        parts: usize,
    ) -> Result<Vec<Condition>, Failure> {
        family::whole::split(cx, stream, parts).await
    }
}
