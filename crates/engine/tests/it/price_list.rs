//! The prices of a shop, as its service lists them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use http::{HeaderValue, Method, header::AUTHORIZATION};
use linkspan_domain::{Category, Cursor, FieldKind, Secret, StreamField, StreamSpec};
use linkspan_sdk::{
    Batch, BatchSink, CheckOutcome, ConnectorType, Cx, Discovered, Failure, ReadMode, ReadRequest,
    Source, SourceEntry, arrow_schema, source,
};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use url::Url;

pub(crate) struct PriceList;

impl ConnectorType for PriceList {
    const KEY: &'static str = "price-list";
    const TITLE: &'static str = "Price list";
    const VERSION: Version = Version::new(1, 0, 0);
    const CATEGORY: Category = Category::Commerce;
    type Settings = Settings;
    type Shared = ();

    fn source() -> Option<SourceEntry<Self>> {
        Some(source::<Self>())
    }

    async fn check(cx: &Cx<Self>) -> Result<CheckOutcome, Failure> {
        page(cx, 0, 1).await?;
        Ok(CheckOutcome::ok("the price list answers"))
    }
}

/// Reads the prices of a shop.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the price list answers.
    url: Url,
    /// The token that the shop gave out.
    token: Secret,
}

/// A price, as the service writes it. Whatever changes gets the next revision.
#[derive(Deserialize)]
struct Price {
    article: String,
    amount: String,
    revision: i64,
}

/// So many prices are asked for at a time at most: far fewer bytes than a batch may have.
const PAGE: usize = 1_000;

/// The next prices from a revision on, in the order of their revisions.
async fn page(cx: &Cx<PriceList>, from: i64, limit: usize) -> Result<Vec<Price>, Failure> {
    let Settings { url, token } = &cx.settings;
    let mut url = url.clone();
    let (from, limit) = (from.to_string(), limit.to_string());
    url.query_pairs_mut().append_pair("from", &from).append_pair("limit", &limit);
    let mut request = cx.http.request(Method::GET, url);
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| Failure::setting("token", "has characters that a header cannot carry"))?;
    bearer.set_sensitive(true);
    request.headers.insert(AUTHORIZATION, bearer);
    cx.http.json(request).await
}

/// The one stream that there is.
fn prices() -> Result<StreamSpec, Failure> {
    let name = "prices".parse();
    let name = name.map_err(|_| Failure::Defect { doing: "name its stream", source: None })?;
    let field = |name: &str, kind| StreamField { name: name.to_owned(), kind, nullable: false };
    Ok(StreamSpec {
        name,
        fields: vec![
            field("article", FieldKind::Text),
            field("amount", FieldKind::Decimal),
            field("revision", FieldKind::Integer),
        ],
        primary_key: vec!["article".to_owned()],
        cursor_candidates: vec!["revision".to_owned()],
        supports_incremental: true,
    })
}

impl Source for PriceList {
    async fn discover(_: &Cx<Self>) -> Result<Discovered, Failure> {
        Ok(vec![prices()?].into())
    }

    async fn read(cx: &Cx<Self>, request: ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
        let stream = prices()?;
        if request.stream != stream.name {
            return Err(Failure::NotFound(format!("the stream {}", request.stream)));
        }
        let (is_incremental, mut from) = match request.mode {
            ReadMode::Full => (false, 0),
            ReadMode::Incremental { after: Some(Cursor::Int(after)), .. } => (true, after),
            ReadMode::Incremental { .. } => (true, 0),
        };
        loop {
            let page = page(cx, from, PAGE.min(request.batch.rows)).await?;
            let Some(last) = page.last().map(|it| it.revision) else { return Ok(()) };
            let cursor = is_incremental.then_some(Cursor::Int(last));
            out.send(Batch::new(records(&stream, &page)?, cursor)).await?;
            from = last + 1;
        }
    }
}

/// The prices in the columns of the stream.
fn records(stream: &StreamSpec, prices: &[Price]) -> Result<RecordBatch, Failure> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(prices.iter().map(|it| &it.article))),
        Arc::new(StringArray::from_iter_values(prices.iter().map(|it| &it.amount))),
        Arc::new(Int64Array::from_iter_values(prices.iter().map(|it| it.revision))),
    ];
    RecordBatch::try_new(arrow_schema(stream), columns)
        .map_err(|error| Failure::Defect { doing: "fill a batch", source: Some(error.into()) })
}
