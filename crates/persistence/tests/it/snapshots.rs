//! Whether anything was written.

use linkspan_domain::Workspace;
use linkspan_persistence::connect;
use linkspan_testkit::fixtures::Specimen;

use crate::{
    place::{furnished, keep},
    scratch::{on_both, run},
};

on_both! {
    what_is_committed_changes_the_snapshot
    a_new_connection_is_not_taken_for_an_old_one
}

async fn what_is_committed_changes_the_snapshot(url: &str) {
    let (db, place) = furnished(url).await;
    let snapshots = db.snapshots();
    let before = snapshots.now().await.unwrap();
    // On PostgreSQL, whatever else goes on in the server changes the snapshot, too.
    let is_alone = url.starts_with("sqlite");
    assert!(!is_alone || snapshots.now().await.unwrap() == before);

    keep(&*db.workspaces(), [Workspace::specimen(1, &place)]).await;
    let after = snapshots.now().await.unwrap();
    assert_ne!(after, before);
    assert!(!is_alone || snapshots.now().await.unwrap() == after);

    // By another process, past the stores.
    run(url, "UPDATE workspaces SET name = 'Renamed'").await.unwrap();
    assert_ne!(snapshots.now().await.unwrap(), after);
}

async fn a_new_connection_is_not_taken_for_an_old_one(url: &str) {
    let (db, _) = furnished(url).await;
    let snapshots = db.snapshots();
    snapshots.now().await.unwrap();
    db.close().await;
    snapshots.now().await.unwrap_err();
    connect(url).await.unwrap().snapshots().now().await.unwrap();
}
