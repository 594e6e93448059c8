//! What looking for due schedules costs.

use linkspan_domain::{Connector, Workspace, WorkspaceConnector, ports::Change};
use linkspan_testkit::{
    TestPostgres,
    fixtures::{Place, Specimen, id, receipt},
};
use tempfile::TempDir;

use crate::{Database, connect};

/// How many schedules there are, of which three are due.
const SCHEDULES: u32 = 2_000;

/// One for each activation, a minute apart.
const SCHEDULE_ALL: &str = "\
    INSERT INTO schedules (workspace_connector_pk, interval_secs, mode, next_run_at, created_at, updated_at) \
    SELECT pk, 60, 'full', pk * 60000000, 0, 0 FROM workspace_connectors";

async fn fill(db: &Database) {
    db.migrate().await.unwrap();
    let place = Place {
        organization: id(1),
        stranger: id(2),
        workspace: id(1),
        lower_workspace: id(1),
        foreign_workspace: id(3),
        person: id(1),
        connectors: vec![id(1)],
        provider: id(1),
        activation: id(4),
    };
    let first = Workspace { parent_id: None, ..Workspace::specimen(1, &place) };
    let first = db.access().bootstrap(&first).await.unwrap();
    let place = Place { workspace: first.id, lower_workspace: first.id, ..place };
    let connector = Connector::specimen(1, &place);
    db.connectors().write(&[Change::Insert(connector)], &receipt(1, None)).await.unwrap();
    let activation = |number| {
        Change::Insert(WorkspaceConnector {
            workspace_id: first.id,
            person_id: None,
            name: format!("activation {number}").parse().unwrap(),
            ..WorkspaceConnector::specimen(number, &place)
        })
    };
    let activations: Vec<_> = (1..=SCHEDULES).map(activation).collect();
    let store = db.workspace_connectors();
    store.write(&activations, &receipt(2, None)).await.unwrap();
    let session = db.write().await.unwrap();
    session.run(SCHEDULE_ALL, vec![]).await.unwrap();
    session.run("ANALYZE", vec![]).await.unwrap();
    session.commit().await.unwrap();
}

/// How the database goes about looking for what is due, as its planner says it.
async fn plan(db: &Database, explain: &'static str, column: usize) -> String {
    let session = db.read().await.unwrap();
    let values = vec![(3 * 60_000_000_i64).into(), 500_i64.into()];
    let rows = session.rows(explain, values).await.unwrap();
    let lines = rows.iter().map(|it| it.try_get_by_index::<String>(column).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_is_due_is_found_by_index_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("linkspan.db").display());
    let db = connect(&url).await.unwrap();
    fill(&db).await;
    let plan = plan(&db, due!("EXPLAIN QUERY PLAN "), 3).await;
    assert!(plan.contains("SEARCH s USING INDEX idx_schedules_next_run_at"), "{plan}");
    assert!(
        !plan.contains("SCAN s") && !plan.contains("SCAN w") && !plan.contains("TEMP B-TREE"),
        "{plan}"
    );
    db.close().await;
}

#[tokio::test]
async fn what_is_due_is_found_by_index_on_postgres() {
    let database = TestPostgres::create().await;
    let db = connect(&database.url()).await.unwrap();
    fill(&db).await;
    let plan = plan(&db, due!("EXPLAIN "), 0).await;
    assert!(plan.contains("Index Scan using idx_schedules_next_run_at"), "{plan}");
    assert!(
        !plan.contains("Seq Scan on schedules")
            && !plan.contains("Seq Scan on workspace_connectors"),
        "{plan}"
    );
    db.close().await;
    database.remove().await;
}
