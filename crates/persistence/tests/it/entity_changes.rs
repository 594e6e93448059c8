//! The change feed of entities, and what names them.

use std::sync::Arc;

use linkspan_domain::{Deleted, TargetModel, WorkspaceId};
use linkspan_sdk::{ChangeKind, EntityFeedPosition, EntityFeedQuery, EntityStore, More};
use linkspan_testkit::fixtures::{EPOCH, id};

use crate::{
    entities::{Mapped, becomes, counts, gone},
    scratch::on_both,
};

on_both! {
    a_reader_hears_what_was_added_updated_and_deleted_since
    a_feed_is_of_one_workspace_and_as_narrow_as_asked_for
    nothing_is_missed_while_others_write
    an_object_of_a_list_is_the_same_wherever_it_stands
    objects_that_are_called_alike_are_told_apart_by_their_place
}

fn query(workspace: WorkspaceId, after: EntityFeedPosition, limit: u32) -> EntityFeedQuery {
    EntityFeedQuery { workspace, model: None, activation: None, after, limit }
}

/// What a reader hears behind a position until there is no more, and where it stands then.
async fn hear(
    store: &Arc<dyn EntityStore>,
    mut query: EntityFeedQuery,
) -> (Vec<(ChangeKind, String)>, EntityFeedPosition) {
    let mut heard = Vec::new();
    loop {
        let page = store.feed(&query).await.unwrap();
        assert!(page.changes.len() <= query.limit as usize);
        heard.extend(
            page.changes.into_iter().map(|it| (it.kind, it.entity.external_id.unwrap_or_default())),
        );
        query.after = page.next;
        if page.more == More::NotYet {
            return (heard, query.after);
        }
    }
}

fn said(kind: ChangeKind, name: &str) -> (ChangeKind, String) {
    (kind, name.to_owned())
}

async fn a_reader_hears_what_was_added_updated_and_deleted_since(url: &str) {
    use ChangeKind::{Added, Deleted, Updated};
    let it = Mapped::new(url).await;
    let own = it.bench.activation.workspace_id;
    let begin = EntityFeedPosition::default();
    assert_eq!(hear(&it.store, query(own, begin, 10)).await, (Vec::new(), begin));

    it.commit(0, 1, vec![becomes("a", &["1"]), becomes("b", &["2"]), becomes("c", &["3"])]).await;
    let all = vec![said(Added, "1"), said(Added, "2"), said(Added, "3")];
    let (heard, at) = hear(&it.store, query(own, begin, 2)).await;
    assert_eq!(heard, all);
    assert_eq!(hear(&it.store, query(own, at, 2)).await, (Vec::new(), at), "nothing twice");

    it.commit(1, 2, vec![becomes("a", &["1", "4"]), gone("b"), becomes("c", &["3"])]).await;
    let (heard, later) = hear(&it.store, query(own, at, 1)).await;
    assert_eq!(heard, [said(Deleted, "2"), said(Added, "4")], "what stays the same is not told");
    it.commit(2, 3, vec![becomes("b", &["2"])]).await;
    let (heard, _) = hear(&it.store, query(own, later, 10)).await;
    assert_eq!(heard, [said(Added, "2")], "it comes back");

    let mut worded = becomes("c", &["3"]);
    if let linkspan_sdk::MappedOutcome::Objects(objects) = &mut worded.outcome {
        r#"{"external_id":"3","number":"7"}"#.clone_into(&mut objects[0].payload);
        objects[0].hash = linkspan_sdk::ContentHash::of(&objects[0].payload);
    }
    it.commit(3, 4, vec![worded]).await;
    let (heard, _) = hear(&it.store, query(own, later, 10)).await;
    assert_eq!(heard, [said(Added, "2"), said(Updated, "3")]);
    let (heard, _) = hear(&it.store, query(own, begin, 10)).await;
    assert!(heard.contains(&said(Added, "3")), "who never met it hears that it is new: {heard:?}");
}

async fn a_feed_is_of_one_workspace_and_as_narrow_as_asked_for(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 1, vec![becomes("a", &["1"])]).await;
    let all = query(it.bench.activation.workspace_id, EntityFeedPosition::default(), 10);
    let activation = Some(it.bench.activation.id);
    for (narrowed, expected) in [
        (EntityFeedQuery { model: Some(TargetModel::Invoice), activation, ..all.clone() }, 1),
        (EntityFeedQuery { model: Some(TargetModel::People), ..all.clone() }, 0),
        (EntityFeedQuery { activation: Some(id(999)), ..all.clone() }, 0),
        (EntityFeedQuery { workspace: it.bench.place.foreign_workspace, ..all.clone() }, 0),
    ] {
        assert_eq!(hear(&it.store, narrowed.clone()).await.0.len(), expected, "{narrowed:?}");
    }
    // What the choice passes over is passed for good.
    let other = EntityFeedQuery { model: Some(TargetModel::People), ..all };
    let (_, at) = hear(&it.store, other).await;
    assert_eq!(at, EntityFeedPosition { entry: 1, place: None });
}

async fn nothing_is_missed_while_others_write(url: &str) {
    let it = Arc::new(Mapped::new(url).await);
    // Another activation of the same workspace writes side by side.
    let twin = Arc::new(it.beside().await);
    let writes = |it: Arc<Mapped>, name: &'static str| async move {
        for at in 0..25 {
            let record = becomes(&format!("{name}{at}"), &[&format!("{name}{at}")]);
            it.commit(at, at + 1, vec![record]).await;
        }
    };
    let one = tokio::spawn(writes(Arc::clone(&it), "x"));
    let other = tokio::spawn(writes(Arc::clone(&twin), "y"));
    let own = it.bench.activation.workspace_id;
    let (mut heard, mut at) = (Vec::new(), EntityFeedPosition::default());
    loop {
        let is_over = one.is_finished() && other.is_finished();
        let (more, next) = hear(&it.store, query(own, at, 3)).await;
        heard.extend(more.into_iter().map(|it| it.1));
        at = next;
        if is_over {
            break;
        }
    }
    one.await.unwrap();
    other.await.unwrap();
    heard.sort();
    let mut expected: Vec<String> =
        (0..25).flat_map(|it| [format!("x{it}"), format!("y{it}")]).collect();
    expected.sort();
    assert_eq!(heard, expected);
}

async fn an_object_of_a_list_is_the_same_wherever_it_stands(url: &str) {
    let it = Mapped::new(url).await;
    it.commit(0, 1, vec![becomes("a", &["1", "2", "3"])]).await;
    let before = it.entities(Deleted::Hidden).await;
    assert_eq!(it.commit(1, 2, vec![becomes("a", &["2", "3"])]).await, counts(0, 2, 1, 0));
    let after = it.entities(Deleted::Hidden).await;
    assert_eq!(after, before[1..], "the first goes, and the others stay what they were");
    assert_eq!(it.commit(2, 3, vec![becomes("a", &["9", "3"])]).await, counts(1, 1, 1, 0));
    let buried: Vec<_> = it.entities(Deleted::Shown).await;
    let buried = buried.iter().filter(|it| it.deleted_at == Some(EPOCH));
    assert_eq!(buried.filter_map(|it| it.external_id.as_deref()).collect::<Vec<_>>(), ["1", "2"]);
}

async fn objects_that_are_called_alike_are_told_apart_by_their_place(url: &str) {
    let it = Mapped::new(url).await;
    assert_eq!(it.commit(0, 1, vec![becomes("a", &["1", "1"])]).await, counts(2, 0, 0, 0));
    assert_eq!(it.commit(1, 2, vec![becomes("a", &["1", "1"])]).await, counts(0, 2, 0, 0));
    assert_eq!(it.commit(2, 3, vec![becomes("a", &["1"])]).await, counts(1, 0, 2, 0));
    assert_eq!(it.live().await.len(), 1);
}
