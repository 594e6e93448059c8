//! MySQL: every table and view that the credentials may read.

use linkspan_domain::{Category, Condition, StreamName};
use linkspan_sdk::{
    BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, PoolCache, Pushed,
    ReadRequest, Source, SourceEntry, source,
};
use semver::Version;
use serde_json::Value;
use sqlx::MySqlPool;

use crate::mysql_family::{self as family, Settings};

pub(crate) struct Mysql;

impl ConnectorType for Mysql {
    const KEY: &'static str = "mysql";
    const TITLE: &'static str = "MySQL";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Database;
    const TAGS: &'static [&'static str] = &["sql", "mysql"];
    const DOCS_URL: Option<&'static str> = Some("https://dev.mysql.com/doc/refman/8.4/en/");
    const IS_QUERYABLE: bool = true;
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

impl Source for Mysql {
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
