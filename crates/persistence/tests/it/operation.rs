//! Opening a database, and what happens when it holds or answers something odd.

use std::time::Duration;

use linkspan_domain::{
    Connector, ListQuery, PageRequest, Platform, Workspace,
    ports::{Change, StoreError},
};
use linkspan_persistence::{ConnectError, PoolSizes, connect, connect_with};
use linkspan_testkit::fixtures::{EPOCH, Specimen, receipt};
use serde_json::json;
use uuid::Uuid;

use crate::{
    migrations::{count, sea},
    place::{furnished, keep},
    scratch::{on_both, on_sqlite, open, run},
};

on_both! {
    an_unreadable_row_is_corrupt
    a_slug_that_is_refused_today_is_read_where_it_is_kept
    a_closed_database_is_unavailable
    writers_take_turns
    a_purged_workspace_takes_its_own_along
    a_position_of_another_list_is_refused
    forgotten_idempotency_keys_are_swept_away
}

#[tokio::test]
async fn only_urls_of_databases_we_know_are_opened() {
    for url in ["mysql://root@127.0.0.1/linkspan", "linkspan.db", ""] {
        let refused = connect(url).await.unwrap_err();
        assert!(matches!(refused, ConnectError::UnknownScheme), "{url}: {refused:?}");
    }
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://x?mode=memory"] {
        let refused = connect(url).await.unwrap_err();
        assert!(matches!(refused, ConnectError::InMemory), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_repeats_no_password() {
    let sizes =
        PoolSizes { connections: 1, patience: Duration::from_millis(200), ..PoolSizes::default() };
    let url = "postgres://somebody:hunter22-planted@127.0.0.1:1/linkspan";
    let refused = connect_with(url, sizes).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Unavailable(_)));
    assert!(!format!("{refused} {refused:?}").contains("hunter22-planted"));
}

#[tokio::test]
async fn sqlite_writes_ahead_to_a_log_and_keeps_to_its_references() {
    on_sqlite(|url| async move {
        let (db, place) = furnished(&url).await;
        let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
        assert_eq!(mode.fetch_one(&mut connection).await.unwrap(), "wal");
        let lower = Workspace::specimen(1, &place);
        keep(&*db.workspaces(), [lower]).await;
        let found = db.workspaces().find(&Workspace::tenancy(&place), place.workspace).await;
        let purge = [Change::Purge(found.unwrap().unwrap())];
        let refused = db.workspaces().write(&purge, &receipt(5, None)).await;
        assert!(matches!(refused, Err(StoreError::Dangling)), "{refused:?}");
    })
    .await;
}

async fn an_unreadable_row_is_corrupt(url: &str) {
    let (db, place) = furnished(url).await;
    let corrupt = [
        ("tags = '{\"not\": \"a list\"}'", "tags = '[]'"),
        ("name = ''", "name = 'Fine'"),
        ("version = 'newest'", "version = NULL"),
    ];
    for (broken, mended) in corrupt {
        run(url, &format!("UPDATE connectors SET {broken}")).await.unwrap();
        let found = db.connectors().find(&Platform, place.connectors[0]).await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{broken}: {found:?}");
        run(url, &format!("UPDATE connectors SET {mended}")).await.unwrap();
    }
    assert!(db.connectors().find(&Platform, place.connectors[0]).await.unwrap().is_some());
}

async fn a_slug_that_is_refused_today_is_read_where_it_is_kept(url: &str) {
    let (db, place) = furnished(url).await;
    run(url, "UPDATE workspaces SET slug = '..' WHERE slug = (SELECT min(slug) FROM workspaces)")
        .await
        .unwrap();
    let all = db.workspaces().list(&Workspace::tenancy(&place), &ListQuery::default()).await;
    let all = all.unwrap().into_resources();
    assert!(all.iter().any(|it| it.slug.as_str() == ".."), "{all:?}");
}

async fn a_closed_database_is_unavailable(url: &str) {
    let (db, place) = furnished(url).await;
    db.ping().await.unwrap();
    db.close().await;
    let refused = db.ping().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let refused = db.connectors().find(&Platform, place.connectors[0]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // What was written is there when it is opened again.
    let db = open(url).await;
    assert!(db.connectors().find(&Platform, place.connectors[0]).await.unwrap().is_some());
}

async fn writers_take_turns(url: &str) {
    let (db, place) = furnished(url).await;
    let writes = (0..40).map(|number| {
        let (db, place) = (db.clone(), place.clone());
        async move { keep(&*db.connectors(), [Connector::specimen(number, &place)]).await }
    });
    futures_util::future::join_all(writes).await;
    let ids: Vec<_> = (0..40).map(|it| Connector::specimen(it, &place).id).collect();
    assert_eq!(db.connectors().find_all(&Platform, &ids).await.unwrap().len(), 40);

    // Of many who change the same thing at once, one wins.
    let connector = Connector::specimen(0, &place);
    let changes = (0..10).map(|number| {
        let (db, connector) = (db.clone(), connector.clone());
        let change = [Change::Update(connector)];
        async move { db.connectors().write(&change, &receipt(100 + number, None)).await }
    });
    let done = futures_util::future::join_all(changes).await;
    let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 9));
    assert!(lost.iter().all(|it| matches!(it, Err(StoreError::Stale))), "{lost:?}");
}

async fn a_purged_workspace_takes_its_own_along(url: &str) {
    let (db, place) = furnished(url).await;
    let workspaces = db.workspaces();
    let seen = Workspace::tenancy(&place);
    let workspace = workspaces.find(&seen, place.lower_workspace).await.unwrap().unwrap();
    let key = linkspan_domain::ApiKey {
        workspaces: [workspace.id].into(),
        ..linkspan_domain::ApiKey::specimen(1, &place)
    };
    let person = linkspan_domain::Person {
        workspaces: [workspace.id].into(),
        ..linkspan_domain::Person::specimen(1, &place)
    };
    keep(&*db.api_keys(), [key.clone()]).await;
    keep(&*db.people(), [person.clone()]).await;
    workspaces.write(&[Change::Purge(workspace)], &receipt(5, None)).await.unwrap();

    let found = db.people().find(&seen, person.id).await.unwrap().unwrap();
    assert!(found.workspaces.is_empty());
    let found = db.api_keys().find(&seen, key.id).await.unwrap().unwrap();
    assert_eq!(found.workspaces, key.workspaces, "a key of no workspace is not a key of all");
}

async fn a_position_of_another_list_is_refused(url: &str) {
    let (db, _) = furnished(url).await;
    for position in [json!([]), json!(["2026-05-01T12:00:00Z"]), json!([7, "x"]), json!(["x", "y"])]
    {
        let after = Some(serde_json::from_value(position.clone()).unwrap());
        let page = PageRequest { after, ..PageRequest::default() };
        let query = ListQuery { page, ..ListQuery::default() };
        let refused = db.connectors().list(&Platform, &query).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{position}: {refused:?}");
    }
}

async fn forgotten_idempotency_keys_are_swept_away(url: &str) {
    let db = open(url).await;
    let keys = db.idempotency();
    for number in 0..30_u128 {
        let token = Uuid::from_u128(number);
        keys.claim("scope", &number.to_string(), "print", token, EPOCH).await.unwrap();
    }
    let seen = sea(url).await;
    assert_eq!(count(&seen, "idempotency_keys").await, 30);
    let later = EPOCH + time::Duration::days(2);
    for (number, left) in [(100, 11), (101, 2), (102, 3)] {
        let key = number.to_string();
        keys.claim("scope", &key, "print", Uuid::from_u128(number), later).await.unwrap();
        assert_eq!(count(&seen, "idempotency_keys").await, left);
    }
}
