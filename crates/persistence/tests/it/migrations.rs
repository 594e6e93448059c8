//! The schema: it goes up and down, keeps what it holds, and refuses what it must.

use std::collections::BTreeSet;

use linkspan_domain::{
    ConnectorFilter, Deleted, FilterScope, ListQuery,
    ports::{Change, StoreError},
};
use linkspan_migration::{Migrator, MigratorTrait};
use linkspan_testkit::fixtures::{EPOCH, Specimen, receipt, receipts};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use time::Duration;

use crate::{
    place::{furnished, keep},
    scratch::{on_both, on_postgres, open, run},
};

on_both! {
    the_schema_goes_up_and_down_and_up_again
    migrating_again_keeps_the_data
    later_migrations_go_down_and_up_and_keep_the_data
    of_several_live_filters_the_oldest_stays
    many_may_migrate_at_once
    the_indexes_have_the_names_that_were_asked_for
    words_outside_a_closed_set_are_refused
    the_audit_trail_cannot_be_changed
}

pub(crate) async fn sea(url: &str) -> DatabaseConnection {
    let url = if url.starts_with("sqlite") { format!("{url}?mode=rwc") } else { url.to_owned() };
    Database::connect(url).await.unwrap()
}

async fn names(db: &DatabaseConnection, kind: &str) -> Vec<String> {
    let sql = match (db.get_database_backend(), kind) {
        (DbBackend::Postgres, "table") => {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'"
        }
        (DbBackend::Postgres, "index") => {
            "SELECT indexname::text AS name FROM pg_indexes WHERE schemaname = 'public'"
        }
        (DbBackend::Postgres, "type") => {
            "SELECT typname::text AS name FROM pg_type WHERE typtype = 'e'"
        }
        (DbBackend::Postgres, _) => {
            "SELECT proname::text AS name FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace"
        }
        (_, "table") => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
        (_, "index") => "SELECT name FROM sqlite_master WHERE type = 'index'",
        _ => return Vec::new(),
    };
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

pub(crate) async fn count(db: &DatabaseConnection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

async fn the_schema_goes_up_and_down_and_up_again(url: &str) {
    let db = sea(url).await;
    Migrator::up(&db, None).await.unwrap();
    let tables = names(&db, "table").await;
    for table in ["connectors", "workspace_connectors", "audit_events", "settings"] {
        assert!(tables.iter().any(|it| it == table), "{table} is missing: {tables:?}");
    }
    Migrator::down(&db, None).await.unwrap();
    assert_eq!(names(&db, "table").await, ["seaql_migrations"]);
    assert_eq!(names(&db, "type").await, [""; 0], "no type stays behind");
    assert_eq!(names(&db, "function").await, [""; 0], "no function stays behind");
    Migrator::up(&db, None).await.unwrap();
    let (mut again, mut tables) = (names(&db, "table").await, tables);
    again.sort();
    tables.sort();
    assert_eq!(again, tables);
}

async fn migrating_again_keeps_the_data(url: &str) {
    let (db, place) = furnished(url).await;
    db.migrate().await.unwrap();
    let activation = linkspan_domain::WorkspaceConnector::specimen(7_000_000, &place);
    let seen = linkspan_domain::WorkspaceConnector::tenancy(&place);
    let found = db.workspace_connectors().find(&seen, place.activation).await.unwrap();
    assert_eq!(found, Some(activation));
}

async fn later_migrations_go_down_and_up_and_keep_the_data(url: &str) {
    let (_, _) = furnished(url).await;
    let db = sea(url).await;
    let tables = ["connectors", "workspaces", "workspace_connectors", "people", "audit_events"];
    let mut before = Vec::new();
    for table in tables {
        before.push(count(&db, table).await);
    }
    let later = u32::try_from(Migrator::migrations().len() - 1).unwrap();
    if later > 0 {
        Migrator::down(&db, Some(later)).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
    }
    for (table, before) in tables.into_iter().zip(before) {
        assert!(before > 0, "{table} has nothing to lose");
        assert_eq!(count(&db, table).await, before, "{table}");
    }
}

/// Takes back the migration of this name, and all after it.
pub(crate) async fn down_to_before(db: &DatabaseConnection, name: &str) {
    let migrations = Migrator::migrations();
    let before = migrations.iter().position(|it| it.name() == name).unwrap();
    let steps = u32::try_from(migrations.len() - before).unwrap();
    Migrator::down(db, Some(steps)).await.unwrap();
}

async fn of_several_live_filters_the_oldest_stays(url: &str) {
    let (db, place) = furnished(url).await;
    let filters = db.connector_filters();
    let (template, own) = (FilterScope::Template, FilterScope::Custom(place.workspace));
    let lower = FilterScope::Custom(place.lower_workspace);
    // Number, scope, connector, when it was made, and whether it stays.
    let kept = [
        (1, template, 0, 2, false),
        (2, template, 0, 1, true),
        (3, template, 0, 3, false),
        (4, template, 1, 4, true),
        (5, own, 0, 5, true),
        (6, own, 0, 5, false),
        (7, lower, 0, 6, true),
    ];
    let filter = |number, scope, connector: usize, hours| ConnectorFilter {
        scope,
        connector_id: place.connectors[connector],
        natural_language: Some("live".to_owned()),
        created_at: EPOCH + Duration::hours(hours),
        updated_at: EPOCH,
        deleted_at: Some(EPOCH),
        ..ConnectorFilter::specimen(number, &place)
    };
    let live = kept.map(|(number, scope, connector, at, _)| filter(number, scope, connector, at));
    keep(&*filters, live.clone()).await;
    let gone =
        ConnectorFilter { natural_language: Some("gone".to_owned()), ..filter(8, template, 0, 0) };
    keep(&*filters, [gone.clone()]).await;

    let sea = sea(url).await;
    down_to_before(&sea, "m0016_entities").await;
    let bring_back =
        "UPDATE connector_filters SET deleted_at = NULL WHERE natural_language = 'live'";
    run(url, bring_back).await.unwrap();
    Migrator::up(&sea, None).await.unwrap();

    let seen = ConnectorFilter::tenancy(&place);
    for (before, (number, .., stays)) in live.iter().zip(kept) {
        let now = filters.find(&seen, before.id).await.unwrap().unwrap();
        if stays {
            assert_eq!(now, ConnectorFilter { deleted_at: None, ..before.clone() });
            continue;
        }
        assert_eq!(now.revision, before.revision.next(), "{number}");
        assert!(now.deleted_at > Some(EPOCH), "{number}: {:?}", now.deleted_at);
        assert_eq!(now.deleted_at, Some(now.updated_at), "{number}");
        let said = ConnectorFilter {
            revision: before.revision,
            updated_at: before.updated_at,
            deleted_at: before.deleted_at,
            ..now.clone()
        };
        assert_eq!(said, *before, "{number} says what it said");
        let back = ConnectorFilter { deleted_at: None, ..now };
        let refused = filters.write(&[Change::Update(back)], &receipt(5, None)).await;
        assert!(matches!(refused, Err(StoreError::Taken)), "{number}: {refused:?}");
    }
    assert_eq!(filters.find(&seen, gone.id).await.unwrap(), Some(gone));
    let query = ListQuery { deleted: Deleted::Shown, ..ListQuery::default() };
    assert_eq!(filters.list(&seen, &query).await.unwrap().total, 8, "none is lost");
}

async fn many_may_migrate_at_once(url: &str) {
    let opened = (0..6).map(|_| open(url));
    let opened = futures_util::future::join_all(opened).await;
    for db in opened {
        let found = db.audit_events().find(&receipts(), linkspan_testkit::fixtures::id(1)).await;
        assert_eq!(found.unwrap(), None);
    }
}

async fn the_indexes_have_the_names_that_were_asked_for(url: &str) {
    open(url).await;
    let indexes = names(&sea(url).await, "index").await;
    for index in [
        "idx_connectors_status",
        "idx_connectors_direction_status",
        "idx_connectors_status_created_at",
        "idx_workspace_connectors_workspace_deleted",
        "idx_workspace_connectors_connector",
        "idx_workspace_connectors_person",
        "idx_workspace_connectors_status",
    ] {
        assert!(indexes.iter().any(|it| it == index), "{index} is missing: {indexes:?}");
    }
}

async fn words_outside_a_closed_set_are_refused(url: &str) {
    let (_, _) = furnished(url).await;
    for update in [
        "UPDATE connectors SET provider = 'acme'",
        "UPDATE connectors SET status = 'perhaps'",
        "UPDATE connectors SET direction = 'sideways'",
        "UPDATE connectors SET authorization_flow = 'handshake'",
        "UPDATE connectors SET transport = 'pigeon'",
        "UPDATE workspace_connectors SET status = 'sleepy'",
        "UPDATE workspace_connectors SET log_level = 'loud'",
        "UPDATE people SET role = 'king'",
    ] {
        assert!(run(url, update).await.is_err(), "{update}");
    }
    if url.starts_with("postgres") {
        let types = names(&sea(url).await, "type").await;
        for name in [
            "provider_type_enum",
            "status_type_enum",
            "direction_enum",
            "authorization_flow_enum",
            "transport_enum",
            "status_enum",
            "target_model_enum",
        ] {
            assert!(types.iter().any(|it| it == name), "{name} is missing: {types:?}");
        }
        // The database can name things too.
        let insert = "INSERT INTO providers (name, slug, created_at, updated_at)
            VALUES ('Theirs', 'theirs', now(), now())";
        run(url, insert).await.unwrap();
    }
}

async fn the_audit_trail_cannot_be_changed(url: &str) {
    let (_, _) = furnished(url).await;
    let db = sea(url).await;
    let before = count(&db, "audit_events").await;
    assert!(before > 0);
    let mut changes =
        vec!["UPDATE audit_events SET action = 'nothing'", "DELETE FROM audit_events"];
    if url.starts_with("postgres") {
        changes.push("TRUNCATE audit_events");
    }
    for change in changes {
        let refused = run(url, change).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    assert_eq!(count(&db, "audit_events").await, before);
}

/// What is sealed and not listed in `src/keys.rs` stays under the old master key for ever.
#[tokio::test]
async fn every_column_of_bytes_is_a_hash_or_sealed_and_listed() {
    const SEALED: [&str; 12] = [
        "authorizations.content",
        "credential_versions.secrets",
        "oauth_clients.client",
        "oauth_grants.held",
        "oauth_grants.previous",
        "oauth_grants.reply",
        "oauth_leftovers.answer",
        "oauth_leftovers.client",
        "oauth_leftovers.held",
        "oauth_leftovers.previous",
        "oauth_leftovers.reply",
        "workspace_connectors.secrets",
    ];
    on_postgres(|url| async move {
        let _ = open(&url).await;
        let db = sea(&url).await;
        let sql =
            "SELECT concat(table_name, '.', column_name) AS name FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'bytea'
                AND column_name NOT IN ('hash', 'key_id')";
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        let found = rows.iter().map(|it| it.try_get("", "name").unwrap());
        let found: BTreeSet<String> = found.collect();
        assert!(found.iter().eq(SEALED), "{found:?}");
    })
    .await;
}
