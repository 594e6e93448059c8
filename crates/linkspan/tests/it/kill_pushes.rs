//! Workers that are killed in the middle of a push: another goes on with it, and the target says what the source says.

use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, cast::AsArray, types::Int64Type};
use linkspan_testkit::{TestPostgres, journal};
use serde_json::json;

use crate::{
    kill::{Dice, Load, Plant, Records, Shop, order, orders},
    pushing::{activate, journal_in},
};

/// How many workers die at each target, on each database.
const KILLS: u32 = 6;

/// The targets, by the names of their activations.
const WAREHOUSE: &str = "warehouse";
const LAKE: &str = "lake";

struct Targets {
    warehouse: TestPostgres,
    plant: Plant,
}

impl Targets {
    async fn open(plant: Plant) -> Self {
        let warehouse = TestPostgres::create().await;
        let config = json!({ "connection_string": warehouse.url() });
        let (address, source) = (&plant.server.address, json!(plant.activation));
        activate(address, WAREHOUSE, "postgresql", config, source.clone()).await;
        activate(address, LAKE, "parquet", json!({ "folder": "." }), source).await;
        Self { warehouse, plant }
    }

    async fn held(&self, target: &str) -> Records {
        if target == WAREHOUSE {
            return orders(&mut self.warehouse.connect().await).await;
        }
        let rows = journal::last_of_each(&journal_in(&self.plant.lake().join("orders")));
        let row = |it: &RecordBatch| {
            let number = |name: &str| it[name].as_primitive::<Int64Type>().value(0);
            order(number("id"), number("at"), it["note"].as_string::<i32>().value(0))
        };
        rows.iter().map(row).collect()
    }
}

async fn killed_workers_push_everything(url: &str, seed: u64) {
    let mut shop = Shop::open().await;
    let mut plant = Plant::open(url, &shop).await;
    plant.sync("shop", Load::Full, None).await;
    let mut targets = Targets::open(plant).await;
    let (mut dice, mut day) = (Dice(seed), 0);
    for target in [WAREHOUSE, LAKE] {
        // How long a push of everything takes without a worker that dies: they die somewhere within.
        let began = Instant::now();
        targets.plant.sync(target, Load::Full, None).await;
        let whole = u64::try_from(began.elapsed().as_millis()).unwrap();
        let mut before = shop.orders().await;
        assert!(targets.held(target).await == before, "{target}");

        let (mut kills, first) = (0, day);
        while kills < KILLS {
            day += 1;
            assert!(day - first <= KILLS * 8, "the workers are too fast to be caught at work");
            let load = if day.is_multiple_of(3) { Load::Full } else { Load::Incremental };
            shop.trade(day, Load::Full).await;
            targets.plant.sync("shop", Load::Full, None).await;
            let most = if load == Load::Full { whole } else { whole / 2 };
            let time = Duration::from_millis(dice.up_to(most));
            let (counted, killed) = targets.plant.sync(target, load, Some(time)).await;
            kills += u32::from(killed);
            let expected = shop.orders().await;
            assert!(targets.held(target).await == expected, "{target} on day {day}: {counted}");
            if load == Load::Incremental {
                let changed = expected.iter().filter(|(key, it)| before.get(*key) != Some(it));
                let gone = before.keys().filter(|it| !expected.contains_key(*it));
                let told = (counted["written"].as_u64(), counted["deleted"].as_u64());
                let counts = (Some(changed.count() as u64), Some(gone.count() as u64));
                assert_eq!(told, counts, "{target} on day {day}: {counted}");
            }
            before = expected;
        }
    }
    targets.plant.stop().await;
    targets.warehouse.remove().await;
    shop.close().await;
}

#[tokio::test]
async fn killed_workers_push_everything_on_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("linkspan.db").display());
    killed_workers_push_everything(&url, 5).await;
}

#[tokio::test]
async fn killed_workers_push_everything_on_postgres() {
    let store = TestPostgres::create().await;
    killed_workers_push_everything(&store.url(), 6).await;
    store.remove().await;
}
