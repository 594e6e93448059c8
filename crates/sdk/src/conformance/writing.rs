//! What a sink makes of what it is given.

use std::{sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type,
};
use arrow_schema::{ArrowError, Schema};
use linkspan_domain::{
    Fence, FieldKind, StreamField, StreamName, StreamSpec, SyncLogId, WorkspaceConnectorId,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Subject, said};
use crate::{
    BatchWriter, Change, ChangeKind, Failure, HeldRun, Push, RecordVersion, WriteMode,
    WriteRequest, arrow_schema,
};

/// How long a cancelled write may take to end.
const PROMPT: Duration = Duration::from_secs(5);

/// A record of the stream that is written: its key, and a text or nothing.
pub type Held = (i64, Option<String>);

/// What is wrong with how the type writes the stream called `target`, which has an integer `id` and a text `name`.
///
/// `held` says what the target holds, none where there is no target yet. It is asked after each write, and after those
/// that broke off. Of a journal, which is tried last, it says what counts.
pub async fn of_sink<F>(subject: &Subject, target: &StreamName, held: F) -> Vec<String>
where
    F: AsyncFn() -> Vec<Held>,
{
    let trial = Trial { subject, target, held };
    let mut faults = Vec::new();
    let modes = subject.definition.write_modes();
    if modes.is_empty() {
        faults.push("the type says that it writes in no mode".to_owned());
    }
    let all = [WriteMode::Replace, WriteMode::Append, WriteMode::Upsert, WriteMode::Journal];
    for mode in all {
        let tried = match mode {
            _ if !modes.contains(&mode) => trial.refuses(mode).await,
            WriteMode::Replace => trial.replaces().await,
            WriteMode::Append => trial.appends().await,
            WriteMode::Upsert => trial.upserts().await,
            WriteMode::Journal => trial.journals().await,
        };
        match tried {
            Ok(found) => faults.extend(found.into_iter().map(|it| format!("{mode}: {it}"))),
            Err(failure) => faults.push(format!("{mode}: fails: {}", said(&failure))),
        }
    }
    faults
}

struct Trial<'s, F> {
    subject: &'s Subject,
    target: &'s StreamName,
    held: F,
}

impl<F: AsyncFn() -> Vec<Held>> Trial<'_, F> {
    fn spec(&self, primary_key: &[&str]) -> StreamSpec {
        let field =
            |name: &str, kind, nullable| StreamField { name: name.to_owned(), kind, nullable };
        StreamSpec {
            name: self.target.clone(),
            fields: vec![
                field("id", FieldKind::Integer, false),
                field("name", FieldKind::Text, true),
            ],
            primary_key: primary_key.iter().map(|&it| it.to_owned()).collect(),
            cursor_candidates: Vec::new(),
            supports_incremental: false,
        }
    }

    fn open(&self, mode: WriteMode, primary_key: &[&str]) -> BatchWriter {
        let Subject { definition, environment, settings, .. } = self.subject;
        let request = WriteRequest { stream: self.spec(primary_key), mode, push: None };
        definition.write(settings.clone(), request, environment.clone())
    }

    fn open_push(&self, mode: WriteMode, primary_key: &[&str]) -> BatchWriter {
        let Subject { definition, environment, settings, .. } = self.subject;
        let run = HeldRun { id: SyncLogId::from_uuid(Uuid::nil()), fence: Fence(1) };
        let push = Push { activation: WorkspaceConnectorId::from_uuid(Uuid::nil()), run };
        let request = WriteRequest { stream: self.spec(primary_key), mode, push: Some(push) };
        definition.write(settings.clone(), request, environment.clone())
    }

    fn put(&self, records: &[(i64, Option<&str>)]) -> Result<Change, Failure> {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(records.iter().map(|it| it.0)));
        let names: ArrayRef = Arc::new(records.iter().map(|it| it.1).collect::<StringArray>());
        let schema = arrow_schema(&self.spec(&["id"]));
        RecordBatch::try_new(schema, vec![ids, names]).map(Change::Put).map_err(unbuilt)
    }

    fn remove(&self, ids: &[i64]) -> Result<Change, Failure> {
        let schema = arrow_schema(&self.spec(&["id"]));
        let key = Schema::new(vec![schema.field(0).clone()]);
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        RecordBatch::try_new(Arc::new(key), vec![ids]).map(Change::Remove).map_err(unbuilt)
    }

    async fn write(&self, mode: WriteMode, changes: Vec<Change>) -> Result<(), Failure> {
        let mut writer = self.open(mode, &["id"]);
        for change in changes {
            writer.send(change).await?;
        }
        writer.finish().await.map(drop)
    }

    /// Writes changes that are of these pushes and generations.
    async fn push(&self, mode: WriteMode, changes: Vec<(Change, i64, i64)>) -> Result<(), Failure> {
        let mut writer = self.open_push(mode, &["id"]);
        for (change, begun, generation) in changes {
            let kind = match change {
                Change::Put(_) => ChangeKind::Updated,
                Change::Remove(_) => ChangeKind::Deleted,
            };
            let ids = change.records().column(0).as_primitive::<Int64Type>();
            let version = |&id: &i64| version(id, kind, begun, generation);
            let versions = ids.values().iter().map(version).collect();
            writer.push(change, versions).await?;
        }
        writer.finish().await.map(drop)
    }

    /// Writes some records, and is gone before the end.
    async fn break_off(&self, mut writer: BatchWriter) -> Result<(), Failure> {
        // When the last is sent, the first was taken at least.
        for id in 91..95 {
            writer
                .push(self.put(&[(id, Some("z"))])?, vec![version(id, ChangeKind::Added, 9, 9)])
                .await?;
        }
        drop(writer);
        Ok(())
    }

    /// A fault if the target holds something else than `expected`.
    async fn holds(&self, when: &str, expected: &[(i64, Option<&str>)]) -> Option<String> {
        let mut held = (self.held)().await;
        held.sort();
        let mut expected: Vec<Held> =
            expected.iter().map(|(id, name)| (*id, name.map(str::to_owned))).collect();
        expected.sort();
        (held != expected).then(|| format!("{when}, it holds {held:?} instead of {expected:?}"))
    }

    async fn refuses(&self, mode: WriteMode) -> Result<Vec<String>, Failure> {
        Ok(match self.write(mode, vec![self.put(&[(1, None)])?]).await {
            Err(Failure::Unsupported(_)) => Vec::new(),
            other => vec![format!("it is not a mode of the type, but ends in {other:?}")],
        })
    }

    async fn replaces(&self) -> Result<Vec<String>, Failure> {
        let mode = WriteMode::Replace;
        let mut faults = Vec::new();
        let some = vec![self.put(&[(1, Some("a")), (2, None)])?, self.put(&[(3, Some("ü'\"\\"))])?];
        self.write(mode, some).await?;
        let expected = [(1, Some("a")), (2, None), (3, Some("ü'\"\\"))];
        faults.extend(self.holds("after the first write", &expected).await);
        self.break_off(self.open(mode, &["id"])).await?;
        faults.extend(self.holds("after a write that broke off", &expected).await);
        self.write(mode, vec![self.put(&[(4, Some("d"))])?]).await?;
        faults.extend(self.holds("after the second write", &[(4, Some("d"))]).await);
        self.write(mode, Vec::new()).await?;
        faults.extend(self.holds("after a write of nothing", &[]).await);
        faults.extend(self.cancels(mode).await?);
        Ok(faults)
    }

    async fn appends(&self) -> Result<Vec<String>, Failure> {
        let mode = WriteMode::Append;
        let before: Vec<Held> = (self.held)().await;
        let mut expected: Vec<_> = before.iter().map(|it| (it.0, it.1.as_deref())).collect();
        expected.extend([(11, Some("k")), (12, None)]);
        self.write(mode, vec![self.put(&[(11, Some("k"))])?, self.put(&[(12, None)])?]).await?;
        let mut faults = Vec::new();
        faults.extend(self.holds("after a write", &expected).await);
        self.break_off(self.open(mode, &["id"])).await?;
        faults.extend(self.holds("after a write that broke off", &expected).await);
        faults.extend(self.cancels(mode).await?);
        Ok(faults)
    }

    async fn upserts(&self) -> Result<Vec<String>, Failure> {
        let mode = WriteMode::Upsert;
        let mut faults = Vec::new();
        let before: Vec<i64> = (self.held)().await.iter().map(|it| it.0).collect();
        let mut some = vec![
            self.put(&[(21, Some("a")), (22, Some("b")), (21, Some("A"))])?,
            self.put(&[(22, None), (23, Some("c"))])?,
        ];
        if !before.is_empty() {
            some.insert(0, self.remove(&before)?);
        }
        let expected = [(21, Some("A")), (22, None), (23, Some("c"))];
        self.write(mode, some.clone()).await?;
        faults.extend(self.holds("after a write", &expected).await);
        self.write(mode, some).await?;
        faults.extend(self.holds("after the same write", &expected).await);
        let changes = vec![
            self.put(&[(23, Some("C")), (24, Some("d"))])?,
            self.remove(&[21, 24, 99])?,
            self.put(&[(25, None)])?,
        ];
        self.write(mode, changes).await?;
        let expected = [(22, None), (23, Some("C")), (25, None)];
        faults.extend(self.holds("after changes and removals", &expected).await);
        faults.extend(self.flushes(self.open(mode, &["id"])).await?);
        match self.open(mode, &[]).finish().await {
            Err(Failure::Invalid { .. }) => {}
            other => faults.push(format!("a stream without a key ends in {other:?}")),
        }
        faults.extend(self.cancels(mode).await?);
        Ok(faults)
    }

    async fn journals(&self) -> Result<Vec<String>, Failure> {
        let mode = WriteMode::Journal;
        let mut faults = self.refuses(mode).await?;
        let first = (self.put(&[(41, Some("a")), (42, Some("b"))])?, 1, 1);
        let second = (self.put(&[(41, Some("A")), (43, None)])?, 1, 2);
        let third = (self.remove(&[42, 99])?, 1, 3);
        let expected = [(41, Some("A")), (43, None)];
        self.push(mode, vec![first.clone(), second.clone(), third.clone()]).await?;
        faults.extend(self.holds("after a push", &expected).await);
        self.push(mode, vec![first.clone(), second, third.clone()]).await?;
        faults.extend(self.holds("after the same push", &expected).await);
        self.push(mode, vec![first.clone()]).await?;
        self.push(mode, vec![third, first]).await?;
        faults.extend(self.holds("after parts of it, in another order", &expected).await);
        self.break_off(self.open_push(mode, &["id"])).await?;
        faults.extend(self.holds("after a push that broke off", &expected).await);
        self.push(mode, vec![(self.put(&[(41, Some("c"))])?, 2, 1)]).await?;
        let expected = [(41, Some("c")), (43, None)];
        faults.extend(self.holds("after a push that was begun anew", &expected).await);
        faults.extend(self.flushes(self.open_push(mode, &["id"])).await?);
        match self.open_push(mode, &[]).finish().await {
            Err(Failure::Invalid { .. }) => {}
            other => faults.push(format!("a stream without a key ends in {other:?}")),
        }
        Ok(faults)
    }

    /// Whether what was sent is there once it was waited for, and what follows too where the write goes on.
    async fn flushes(&self, mut writer: BatchWriter) -> Result<Vec<String>, Failure> {
        let before = (self.held)().await;
        let mut expected: Vec<_> = before.iter().map(|it| (it.0, it.1.as_deref())).collect();
        let mut faults = Vec::new();
        for id in [61, 62] {
            let version = version(id, ChangeKind::Added, 2, id);
            writer.push(self.put(&[(id, Some("f"))])?, vec![version]).await?;
            let (_, going_on) = writer.flush().await?;
            expected.push((id, Some("f")));
            faults.extend(self.holds("after it was waited for", &expected).await);
            match going_on {
                Some(it) => writer = it,
                None => return Ok(faults),
            }
        }
        writer.finish().await?;
        faults.extend(self.holds("at the end of a write that was waited for", &expected).await);
        Ok(faults)
    }

    /// Whether a write ends soon after it is cancelled.
    async fn cancels(&self, mode: WriteMode) -> Result<Vec<String>, Failure> {
        let Subject { definition, environment, settings, .. } = self.subject;
        let mut environment = environment.clone();
        environment.cancel = environment.cancel.child_token();
        let request = WriteRequest { stream: self.spec(&["id"]), mode, push: None };
        let cancel = environment.cancel.clone();
        let mut writer = definition.write(settings.clone(), request, environment);
        writer.send(self.put(&[(31, None)])?).await?;
        cancel.cancel();
        Ok(match timeout(PROMPT, writer.finish()).await {
            Ok(Err(Failure::Cancelled)) => Vec::new(),
            // It was done before.
            Ok(Ok(_)) if mode == WriteMode::Upsert => Vec::new(),
            Ok(other) => vec![format!("a write that is cancelled ends in {other:?}")],
            Err(_) => vec!["a write that is cancelled does not end".to_owned()],
        })
    }
}

fn version(id: i64, kind: ChangeKind, begun: i64, generation: i64) -> RecordVersion {
    RecordVersion { key: id.to_string(), kind, begun, generation }
}

fn unbuilt(error: ArrowError) -> Failure {
    Failure::Defect { doing: "build the records of a trial", source: Some(error.into()) }
}
