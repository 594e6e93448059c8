//! Other cursors for streams: the marks that are kept say nothing about them.

use std::collections::BTreeSet;

use linkspan_domain::{
    Act, Action, Call, CredentialVersion, CursorType, Receipt, StreamName, StreamSettings,
    WorkspaceConnector, ports::Change,
};
use serde_json::json;

use super::{ActivationError, Activations};
use crate::{NotAtRest, Records, patch::Changes, records::refused};

impl Activations {
    /// Writes a changed activation, with what becomes of the versions of its credentials. As with the mark of a stream, what it
    /// is of stays while a run can be in the way, and the audit trail says who changed it.
    pub(super) async fn keep(
        &self,
        call: &Call,
        mut activation: WorkspaceConnector,
        edit: Edit<'_>,
    ) -> Result<WorkspaceConnector, ActivationError> {
        let Edit { before, versions, changes } = edit;
        let acts = changed(before, &activation.streams);
        if acts.is_empty() && versions.is_empty() {
            return Ok(self.records.save(call, activation, changes).await?);
        }
        let updated = Records::updated(call, &activation, changes)?;
        let updated = self.records.stamp(call, &mut activation, updated);
        let refusal = refused::<WorkspaceConnector>(activation.id);
        if acts.is_empty() {
            let change = Change::Update(activation.clone());
            self.credentials.commit(&change, versions, &updated).await.map_err(refusal)?;
            return Ok(Records::written(activation));
        }
        let mut receipts = vec![updated];
        // One answer goes with a key: that of the first.
        receipts.extend(acts.into_iter().map(|it| {
            let receipt = self.records.receipt(call, it, &activation);
            Receipt { reply: None, ..receipt }
        }));
        let change = self.syncs.change_cursors(&activation, versions, &receipts).await;
        NotAtRest::unless(change.map_err(refusal)?, activation.id)?;
        Ok(Records::written(activation))
    }
}

/// What became another about an activation.
pub(super) struct Edit<'a> {
    /// How its streams were synced before.
    pub(super) before: &'a [StreamSettings],
    /// What becomes of the versions of its credentials.
    pub(super) versions: &'a [Change<CredentialVersion>],
    pub(super) changes: &'a Changes,
}

/// What tells new records of a stream from old ones, as settings say it.
type Said<'a> = (Option<&'a str>, Option<CursorType>);

/// What the audit trail says of each stream that had a cursor and has another one or none now; without a name, of all that
/// are not named.
fn changed(before: &[StreamSettings], after: &[StreamSettings]) -> Vec<Act> {
    let names: BTreeSet<_> = before.iter().chain(after).map(|it| it.stream.as_ref()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (was, is) = (said(before, name), said(after, name));
        (was.0.is_some() && was != is).then(|| {
            let (column, kind) = is;
            let details = json!({ "stream": name, "cursor_column": column, "cursor_type": kind });
            Act { action: Action::CursorSet, details }
        })
    });
    changed.collect()
}

fn said<'a>(settings: &'a [StreamSettings], name: Option<&StreamName>) -> Said<'a> {
    let of = |name| settings.iter().find(|it| it.stream.as_ref() == name);
    let its = of(name).or_else(|| of(None));
    its.map(|it| (it.cursor_column.as_deref(), it.cursor_type)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use linkspan_domain::{
        Role,
        ports::{ChangeAtRest, StoreError},
    };
    use serde_json::Value;

    use super::*;
    use crate::{
        ActivationPatch, ActivationStores,
        fixtures::{
            MockRuns, activation, call, code, connector, empty, id, keep, ledger, sources, world,
        },
    };

    fn streams(said: Value) -> Vec<StreamSettings> {
        serde_json::from_value(said).unwrap()
    }

    #[test]
    fn only_another_cursor_of_a_stream_that_had_one_is_a_change() {
        let before = json!([{ "cursor_column": "id" }, { "stream": "a", "cursor_column": "at" }, { "stream": "b" }]);
        for (after, expected) in [
            (before.clone(), json!([])),
            (
                json!([{ "cursor_column": "id", "lag": 5 }, { "stream": "a", "cursor_column": "at", "cursor_after": "1" }, { "stream": "b" }]),
                json!([]),
            ),
            (
                json!([{ "cursor_column": "id" }, { "stream": "a", "cursor_column": "at" }, { "stream": "b", "cursor_column": "id" }]),
                json!([]),
            ),
            (
                json!([{ "cursor_column": "id" }, { "stream": "b" }]),
                json!([{ "stream": "a", "cursor_column": "id", "cursor_type": null }]),
            ),
            (
                json!([{ "cursor_column": "id", "cursor_type": "text" }, { "stream": "a" }, { "stream": "b" }]),
                json!([
                    { "stream": null, "cursor_column": "id", "cursor_type": "text" },
                    { "stream": "a", "cursor_column": null, "cursor_type": null },
                ]),
            ),
            (
                json!([{ "cursor_column": "id" }, { "stream": "a", "cursor_column": "at" }, { "stream": "b" }, { "stream": "c" }]),
                json!([{ "stream": "c", "cursor_column": null, "cursor_type": null }]),
            ),
        ] {
            let acts = changed(&streams(before.clone()), &streams(after.clone()));
            let details: Vec<_> = acts.into_iter().map(|it| it.details).collect();
            assert_eq!(Value::Array(details), expected, "{after}");
        }
    }

    #[tokio::test]
    async fn cursors_do_not_change_under_a_run_and_are_audited() {
        let change = async |outcome: fn() -> Result<ChangeAtRest, StoreError>| {
            let mut runs = MockRuns::new();
            runs.expect_change_cursors().returning(move |changed, _, receipts| {
                assert_eq!(changed.streams[0].cursor_column.as_deref(), Some("at"));
                let acts: Vec<_> = receipts.iter().map(|it| it.audit.action.as_str()).collect();
                assert_eq!(acts, ["workspace_connector.updated", "stream.cursor_set"]);
                outcome()
            });
            let kept = keep(vec![activation(|it| {
                it.streams = streams(json!([{ "cursor_column": "id" }]));
            })]);
            let stores = ActivationStores {
                credentials: ledger(Arc::clone(&kept.store) as _),
                activations: kept.store,
                connectors: keep(vec![connector(|_| {})]).store,
                people: empty(),
                tests: empty(),
                syncs: Arc::new(runs),
            };
            let activations = Activations::new(stores, sources(), world());
            let streams = Some(streams(json!([{ "cursor_column": "at" }])));
            let patch = ActivationPatch { streams, ..ActivationPatch::default() };
            activations.update(&call(Role::Designer), id(30), None, patch).await
        };
        let changed = change(|| Ok(ChangeAtRest::Made)).await.unwrap();
        assert_eq!(changed.revision, activation(|_| {}).revision.next());
        assert_eq!(code(change(|| Ok(ChangeAtRest::Busy)).await), "sync.already_in_progress");
        assert_eq!(code(change(|| Ok(ChangeAtRest::Scheduled)).await), "schedule.running");
        assert_eq!(code(change(|| Err(StoreError::Stale)).await), "resource.stale");
    }
}
