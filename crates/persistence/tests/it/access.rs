//! Who may come in.

use linkspan_domain::{OrganizationId, Revision, Workspace, WorkspaceId};
use time::macros::datetime;
use uuid::Uuid;

use crate::scratch::{on_both, open};

on_both! {
    the_first_workspace_is_made_once
}

fn first(seed: u128) -> Workspace {
    Workspace {
        id: WorkspaceId::from_uuid(Uuid::from_u128(seed)),
        revision: Revision::FIRST,
        organization_id: OrganizationId::from_uuid(Uuid::from_u128(seed + 1)),
        parent_id: None,
        name: "First".parse().unwrap(),
        slug: "first".parse().unwrap(),
        external_workspace_id: None,
        created_at: datetime!(2026-05-01 12:00 UTC),
        updated_at: datetime!(2026-05-01 12:00 UTC),
        deleted_at: None,
    }
}

async fn the_first_workspace_is_made_once(url: &str) {
    let db = open(url).await;
    let mut calls = tokio::task::JoinSet::new();
    for seed in 1..=8 {
        let access = db.access();
        calls.spawn(async move { access.bootstrap(&first(seed * 100)).await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    let organization = answers[0].organization_id;
    assert_eq!(db.access().workspaces(organization).await.unwrap(), answers[..1]);
}
