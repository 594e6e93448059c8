//! The example of the guide to adding a connector type: it is what the guide quotes, and it works.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use linkspan_domain::{
    Condition, CursorType, Deleted, StreamSettings, SyncMode,
    ports::{Change, Outbound, OutboundError, OutboundRequest, OutboundResponse},
};
use linkspan_sdk::{
    CursorSpec, Definition, Environment, OpenHosts, RecordSearch,
    conformance::{self, Subject},
};
use linkspan_testkit::fixtures::receipt;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, for_both, settings},
    price_list::PriceList,
};

const GUIDE: &str = include_str!("../../../../docs/guides/adding-a-connector-type.md");

#[test]
fn the_guide_quotes_its_example_word_for_word() {
    let (_, from) = GUIDE.split_once("```rust\n").unwrap();
    let (quoted, rest) = from.split_once("```\n").unwrap();
    assert_eq!(quoted, include_str!("price_list.rs"), "copy the file into the guide");
    assert!(!rest.contains("```rust"), "all code of the guide is in the example");
}

/// A shop that keeps prices: article, amount and revision.
#[derive(Default)]
struct Shop(Mutex<Vec<(&'static str, &'static str, i64)>>);

impl Shop {
    fn with(prices: &[(&'static str, &'static str)]) -> Arc<Self> {
        let shop = Self::default();
        for (article, amount) in prices {
            shop.set(article, amount);
        }
        Arc::new(shop)
    }

    /// Sets a price, which is the last to change.
    fn set(&self, article: &'static str, amount: &'static str) {
        let mut prices = self.0.lock().unwrap();
        let revision = prices.last().map_or(1, |it| it.2 + 1);
        prices.retain(|it| it.0 != article);
        prices.push((article, amount, revision));
    }

    fn page(&self, from: i64, limit: usize) -> Value {
        let prices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let prices = prices.iter().filter(|it| it.2 >= from).take(limit);
        let said = |(article, amount, revision): &(&str, &str, i64)| json!({ "article": article, "amount": amount, "revision": revision });
        prices.map(said).collect()
    }
}

#[async_trait]
impl Outbound for Shop {
    async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let OutboundRequest { url, headers, .. } = request;
        let asked = |name: &str| {
            let found = url.query_pairs().find(|(it, _)| it == name);
            found.unwrap().1.into_owned()
        };
        let (from, limit) = (asked("from").parse().unwrap(), asked("limit").parse().unwrap());
        let is_known = headers.get(AUTHORIZATION).is_some_and(|it| it == "Bearer open sesame");
        let status = if is_known { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        let body = self.page(from, limit).to_string();
        let body = stream::iter([Ok(body.into())]).boxed();
        Ok(OutboundResponse { status, headers: HeaderMap::new(), url, body })
    }
}

fn good() -> Value {
    json!({ "url": "https://shop.example/prices", "token": "open sesame" })
}

#[tokio::test]
async fn the_example_keeps_what_every_type_has_to() {
    let definition = Definition::of::<PriceList>();
    assert_eq!(conformance::of_manifest(&definition, &[]), [""; 0]);
    let articles = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let shop = Shop::with(&articles.map(|it| (it, "1.50")));
    let cursor = CursorSpec { column: "revision".to_owned(), cursor_type: CursorType::Int };
    let subject = Subject {
        definition,
        environment: Environment::new(shop, Arc::new(OpenHosts)),
        settings: good(),
        refused: vec![json!({ "url": "https://shop.example/prices", "token": "close sesame" })],
        cursors: vec![("prices".parse().unwrap(), cursor)],
    };
    assert_eq!(conformance::of_check(&subject).await, [""; 0]);
    assert_eq!(conformance::of_source(&subject).await, [""; 0]);
}

#[tokio::test]
async fn the_example_is_synced_and_what_it_brought_is_found() {
    for_both(|url| async move {
        let bench = Bench::new(&url, Definition::of::<PriceList>()).await;
        let shop = Shop::with(&[("tea", "9"), ("coffee", "12.50"), ("sugar", "1.20")]);
        *bench.opener.outbound.lock().unwrap() = Arc::clone(&shop) as _;
        *bench.opener.settings.lock().unwrap() = good();
        let mut activation = bench.stored().await;
        activation.streams =
            vec![StreamSettings { cursor_column: Some("revision".to_owned()), ..settings(None) }];
        let store = bench.db.workspace_connectors();
        store.write(&[Change::Update(activation)], &receipt(9, None)).await.unwrap();

        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.read, counts.written), (3, 3));
        shop.set("tea", "9.50");
        shop.set("milk", "10");
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        // Sugar is at the mark: it is read again.
        assert_eq!((counts.read, counts.written, counts.unchanged), (3, 2, 1));
        assert_eq!(bench.mark("prices").await.as_deref(), Some("5"));

        let dear = RecordSearch {
            workspaces: vec![bench.activation.workspace_id],
            activation: None,
            stream: None,
            condition: Condition::parse(&json!({ "amount": { "_gt": "9" } })).unwrap(),
            deleted: Deleted::Hidden,
            after: None,
            limit: 10,
        };
        let found = bench.engine.records.search(&dear).await.unwrap().records;
        let mut amounts: Vec<Value> = found
            .iter()
            .map(|it| {
                let said: Value = serde_json::from_str(it.record.payload.get()).unwrap();
                said["amount"].clone()
            })
            .collect();
        amounts.sort_by_key(ToString::to_string);
        assert_eq!(amounts, ["10", "12.50", "9.50"]);
    })
    .await;
}
