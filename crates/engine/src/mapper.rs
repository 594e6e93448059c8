//! The mappings of a stream at work: what changed in it, page by page, to entities.

use std::collections::BTreeSet;

use linkspan_domain::{
    DiagnosticReason, EntityCounts, MappingVersion, OnCollapse, StreamName, SyncLog,
};
use linkspan_sdk::{
    ActiveMapping, ChangeKind, ChangesQuery, HeldRun, Kept, MappedOutcome, MappedPage,
    MappedRecord, Position, RecordChange, Reversal,
};

use crate::{
    Engine, MapError, RunEvent, SyncError, map_all,
    notes::Notes,
    run::{Halt, Signals},
};

/// So many changes are mapped at a time, and kept in one transaction.
const PAGE: u32 = 500;

/// And about how many bytes.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Runs the mappings of streams on account of a run.
pub(crate) struct Mapper<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) log: &'a SyncLog,
    pub(crate) held: HeldRun,
    pub(crate) signals: &'a Signals,
}

/// How far a mapping came.
enum Came {
    /// There is nothing more to map.
    ToTheEnd,
    /// It has another version now.
    Superseded,
}

impl Mapper<'_> {
    /// Maps what changed in a stream since each of its mappings last looked.
    pub(crate) async fn stream(&self, stream: &StreamName, notes: &mut Notes) -> Result<(), Halt> {
        let activation = self.log.workspace_connector_id;
        let mut done = BTreeSet::new();
        loop {
            let active = self.engine.entities.active(activation, stream).await;
            let active = active.map_err(SyncError::Store)?;
            let Some(mapping) = active.into_iter().find(|it| !done.contains(&it.id)) else {
                return Ok(());
            };
            match self.mapping(stream, &mapping, notes).await? {
                Came::ToTheEnd => drop(done.insert(mapping.id)),
                // Whatever it is now, it is looked at anew.
                Came::Superseded => {}
            }
        }
    }

    /// Says of the mappings of a stream that is not what it was that they should be looked at.
    pub(crate) async fn outdate(&self, stream: &StreamName, notes: &mut Notes) -> Result<(), Halt> {
        if !notes.has(DiagnosticReason::SchemaDrift) {
            return Ok(());
        }
        let (activation, now) = (self.log.workspace_connector_id, self.engine.world.now());
        let outdated = self.engine.entities.outdate(activation, stream, now).await;
        for mapping in outdated.map_err(SyncError::Store)? {
            let what =
                format!("the mapping {mapping} may not fit the fields of the stream any more");
            notes.add(DiagnosticReason::MappingNeedsRegeneration, &what, 0);
        }
        Ok(())
    }

    async fn mapping(
        &self,
        stream: &StreamName,
        mapping: &ActiveMapping,
        notes: &mut Notes,
    ) -> Result<Came, Halt> {
        let mut position = mapping.position.clone();
        let mut counts = EntityCounts::default();
        loop {
            let changes = self.changes(stream, &position).await?;
            let Some(last) = changes.last() else { break };
            let to = last.position.clone();
            let records = match self.map(mapping, changes).await? {
                Ok(records) => records,
                Err(reason) => {
                    notes.add(DiagnosticReason::MappingFailed, &said(mapping, &reason), 0);
                    return Ok(Came::ToTheEnd);
                }
            };
            let page = MappedPage {
                run: self.held,
                mapping: mapping.id,
                version: mapping.version,
                from: position,
                to,
                records,
                now: self.engine.world.now(),
            };
            match self.engine.entities.commit(&page).await.map_err(SyncError::Store)? {
                Kept::Done(more) => counts = counts.plus(more),
                Kept::Superseded => return Ok(Came::Superseded),
            }
            for record in &page.records {
                if let MappedOutcome::Failed(reason) = &record.outcome {
                    notes.add(DiagnosticReason::MappingFailed, &said(mapping, reason), 1);
                }
            }
            position = page.to;
            let (stream, target_model) = (stream.clone(), mapping.target_model);
            let event = RunEvent::Mapped { stream, target_model, counts };
            self.engine.progress.report(self.log.id, &event);
        }
        self.weigh(mapping, notes).await
    }

    async fn changes(
        &self,
        stream: &StreamName,
        after: &Position,
    ) -> Result<Vec<RecordChange>, Halt> {
        let query = ChangesQuery {
            activation: self.log.workspace_connector_id,
            stream: stream.clone(),
            after: after.clone(),
            limit: PAGE,
            bytes: PAGE_BYTES,
        };
        let changes = self.signals.interrupt(self.engine.records.changes(&query)).await?;
        Ok(changes.map_err(SyncError::Store)?)
    }

    /// What becomes of each record. An expression that cannot be read any more fails as a whole, for the reason given.
    async fn map(
        &self,
        mapping: &ActiveMapping,
        changes: Vec<RecordChange>,
    ) -> Result<Result<Vec<MappedRecord>, String>, Halt> {
        let Some(schema) = self.engine.models.get(mapping.target_model) else {
            return Ok(Err("this program has no such model".to_owned()));
        };
        let is_live = |it: &&RecordChange| it.kind != ChangeKind::Deleted;
        let payloads = changes.iter().filter(is_live);
        let payloads = payloads.map(|it| it.record.payload.get().to_owned()).collect();
        let mapping_all = map_all(mapping.expression.clone(), schema.clone(), payloads);
        let mapped = self.signals.interrupt(mapping_all).await?;
        let mut mapped = match mapped {
            Ok(mapped) => mapped.into_iter(),
            Err(MapError::Invalid(error)) => return Ok(Err(error.to_string())),
            Err(MapError::Broken(error)) => {
                let defect = SyncError::Defect { doing: "map records", source: error.into() };
                return Err(defect.into());
            }
        };
        let records = changes.into_iter().map(|RecordChange { kind, record, .. }| {
            let outcome = match kind {
                ChangeKind::Deleted => MappedOutcome::Gone,
                ChangeKind::Added | ChangeKind::Updated => match mapped.next() {
                    Some(Ok(objects)) => MappedOutcome::Objects(objects),
                    Some(Err(fault)) => MappedOutcome::Failed(fault.to_string()),
                    None => MappedOutcome::Failed("it was not mapped".to_owned()),
                },
            };
            MappedRecord { key: record.key, outcome }
        });
        Ok(Ok(records.collect()))
    }

    /// Goes back to the wording before, if the present one does so much worse and is not meant to.
    async fn weigh(&self, mapping: &ActiveMapping, notes: &mut Notes) -> Result<Came, Halt> {
        match mapping.on_collapse {
            OnCollapse::Revert => {}
            OnCollapse::Keep => return Ok(Came::ToTheEnd),
        }
        let versions = self.engine.entities.versions(mapping.id).await;
        let versions = versions.map_err(SyncError::Store)?;
        let Some(before) = collapsed(&versions, mapping.version) else {
            return Ok(Came::ToTheEnd);
        };
        let reversal = Reversal {
            run: self.held,
            mapping: mapping.id,
            from: mapping.version,
            to: before.version,
            now: self.engine.world.now(),
        };
        self.engine.entities.revert(&reversal).await.map_err(SyncError::Store)?;
        let what = format!(
            "version {} makes entities of so much fewer records than version {} did, that the wording of version {} \
             is back; if that is meant, save the wording again with `on_collapse` set to `keep`",
            mapping.version, before.version, before.version
        );
        notes.add(DiagnosticReason::RegressionRevert, &said(mapping, &what), 0);
        Ok(Came::Superseded)
    }
}

/// The version to go back to, if the `present` one has collapsed.
fn collapsed(versions: &[MappingVersion], present: u32) -> Option<&MappingVersion> {
    let now = versions.iter().find(|it| it.version == present)?;
    let telling = |it: &&MappingVersion| {
        it.version < present && it.counts.persisted >= MappingVersion::TELLING
    };
    // The newest first.
    let before = versions.iter().filter(telling).max_by_key(|it| it.version)?;
    now.has_collapsed_since(before).then_some(before)
}

fn said(mapping: &ActiveMapping, what: &str) -> String {
    format!("to {}: {what}", mapping.target_model)
}
