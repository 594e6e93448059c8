//! Before a stream is read: how it differs from what is remembered of it, and what follows.

use std::mem;

use linkspan_domain::{
    Condition, ConditionMismatch, DiagnosticReason, Place, SchemaChange, SchemaPolicy, StreamField,
    StreamMemory, StreamSpec, StreamState, SyncLogId, WorkspaceConnector,
};
use linkspan_sdk::ContentHash;

use crate::{
    StreamPlan, SyncError,
    notes::Notes,
    shape::{Discard, Shape},
};

/// What of a connector's filter concerns one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFilter {
    /// What must hold of each record, all of it.
    pub parts: Vec<Condition>,
    /// The other parts, which do not concern the stream.
    pub others: Vec<Condition>,
    /// Fields that those name, and the stream does not have.
    pub missing: Vec<String>,
}

impl StreamFilter {
    /// What of `filter` concerns a stream with these fields. Parts that name fields of other streams do not.
    pub fn of(filter: &Condition, fields: &[StreamField]) -> Result<Self, ConditionMismatch> {
        let mut its = Self::default();
        for part in filter.clone().conjuncts() {
            match part.bind(fields) {
                Ok(part) => its.parts.push(part),
                Err(ConditionMismatch::UnknownField { field, .. }) => {
                    its.others.push(part);
                    its.missing.push(field);
                }
                Err(mismatch) => return Err(mismatch),
            }
        }
        Ok(its)
    }

    /// All parts as one.
    fn whole(&self) -> Option<Condition> {
        (!self.parts.is_empty()).then(|| Condition::And(self.parts.clone()))
    }
}

/// Passes if each part of `filter` concerns at least one stream: a name that none of them has is a mistake, and fails every run.
pub fn concerns_some<'a>(
    filter: &Condition,
    specs: impl IntoIterator<Item = &'a StreamSpec>,
) -> Result<(), SyncError> {
    let specs: Vec<_> = specs.into_iter().collect();
    for part in filter.clone().conjuncts() {
        let mut mismatch = None;
        let concerns = specs.iter().any(|spec| match part.bind(&spec.fields) {
            Err(error @ ConditionMismatch::UnknownField { .. }) => {
                mismatch.get_or_insert(error);
                false
            }
            Ok(_) | Err(_) => true,
        });
        if let Some(source) = mismatch.filter(|_| !concerns) {
            return Err(SyncError::FilterUnfit { stream: None, source });
        }
    }
    Ok(())
}

impl StreamPlan {
    /// Compares the stream with what is remembered of it, and changes the plan accordingly.
    pub(crate) fn prepare(
        &mut self,
        state: Option<&StreamState>,
        notes: &mut Notes,
    ) -> Result<(), SyncError> {
        self.note_missing(notes);
        let Some(state) = state else { return Ok(()) };
        let Some(memory) = &state.memory else {
            // From before anything was remembered: then there was no filter.
            self.compare_filter(None, state, notes);
            return Ok(());
        };
        let changes = memory.changes(&self.memory.fields, &self.memory.primary_key);
        for change in &changes {
            notes.add(DiagnosticReason::SchemaDrift, &change.to_string(), 0);
        }
        let of_shape = || changes.iter().filter(|it| it.is_of_shape());
        match self.policy {
            SchemaPolicy::Evolve => {}
            SchemaPolicy::Freeze => {
                if let Some(change) = of_shape().next() {
                    let stream = self.name.clone();
                    return Err(SyncError::SchemaFrozen { stream, change: change.to_string() });
                }
            }
            SchemaPolicy::DiscardRow if of_shape().next().is_some() => {
                self.hold_to(memory, Discard::Row, notes)?;
            }
            SchemaPolicy::DiscardValue if of_shape().next().is_some() => {
                self.hold_to(memory, Discard::Value, notes)?;
            }
            SchemaPolicy::DiscardRow | SchemaPolicy::DiscardValue => {}
        }
        let is_of_other_kind = |it: &SchemaChange| {
            // Readers would meet values of both kinds. What is held to its old shape has none of the new.
            it.is_of_kind() && self.policy == SchemaPolicy::Evolve
        };
        // Records under their old names would stay.
        let is_of_other_name = |it: &SchemaChange| matches!(it, SchemaChange::KeyChanged { .. });
        if changes.iter().any(|it| is_of_other_name(it) || is_of_other_kind(it)) {
            self.cursor = None;
        }
        if memory.is_of_another(self.memory.place.as_ref()) {
            let what = "the settings point at another place than in the run before; the stream is read in full";
            notes.add(DiagnosticReason::PlaceChanged, what, 0);
            self.cursor = None;
        }
        self.compare_filter(memory.filter.as_ref(), state, notes);
        Ok(())
    }

    fn hold_to(
        &mut self,
        memory: &StreamMemory,
        discard: Discard,
        notes: &mut Notes,
    ) -> Result<(), SyncError> {
        let fields = memory.fields.clone();
        let parts = Condition::And(self.filter.parts.clone());
        let mut filter = StreamFilter::of(&parts, &fields)
            .map_err(|source| SyncError::FilterUnfit { stream: Some(self.name.clone()), source })?;
        // What did not concern it before does not now.
        let StreamFilter { others, missing, .. } = mem::take(&mut self.filter);
        filter.others.extend(others);
        filter.missing.extend(missing);
        self.memory =
            StreamMemory { fields: fields.clone(), filter: filter.whole(), ..self.memory.clone() };
        self.filter = filter;
        self.shape = Some(Shape { fields, discard });
        self.note_missing(notes);
        Ok(())
    }

    fn note_missing(&self, notes: &mut Notes) {
        for field in &self.filter.missing {
            notes.add(DiagnosticReason::FilterUnsupported, &unconcerned(field), 0);
        }
    }

    /// Reads a stream in full whose filter is another than before: records below the mark may pass now.
    fn compare_filter(
        &mut self,
        before: Option<&Condition>,
        state: &StreamState,
        notes: &mut Notes,
    ) {
        // As it is kept: that is what the other one went through.
        let now = self.memory.filter.as_ref().map(Condition::to_value);
        let holds_nothing = state.generation == 0 && state.cursor_after.is_none();
        if holds_nothing || before.map(Condition::to_value) == now {
            return;
        }
        let what = "the filter is not the one of the run before; the stream is read in full";
        notes.add(DiagnosticReason::FilterChanged, what, 0);
        self.cursor = None;
    }

    /// Whether `run` has read the stream in full already, just so: a worker before this one got that far.
    pub(crate) fn is_done(
        &self,
        activation: &WorkspaceConnector,
        state: Option<&StreamState>,
        run: SyncLogId,
    ) -> bool {
        let Some(state) = state.filter(|it| it.loaded_by == Some(run)) else { return false };
        let basis = self.basis(activation).map(|it| it.to_string());
        basis.is_ok_and(|it| state.loaded_basis == Some(it))
    }

    /// What the stream is read under: records that were read under something else do not go with it.
    pub(crate) fn basis(&self, activation: &WorkspaceConnector) -> Result<ContentHash, SyncError> {
        let basis = serde_json::to_string(&(&self.memory, &activation.config))
            .map_err(|error| SyncError::Defect { doing: "compare a load", source: error.into() })?;
        Ok(ContentHash::of(&basis))
    }

    /// Where the stream is read.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.memory.place = Some(place);
        self
    }

    /// Filtered by what of a connector's filter concerns the stream.
    pub(crate) fn filtered_by(mut self, filter: &Condition) -> Result<Self, SyncError> {
        match StreamFilter::of(filter, &self.memory.fields) {
            Ok(its) => {
                self.memory.filter = its.whole();
                self.filter = its;
                Ok(self)
            }
            Err(source) => Err(SyncError::FilterUnfit { stream: Some(self.name), source }),
        }
    }
}

/// What is noted of a stream that does not have a field of the filter.
fn unconcerned(field: &str) -> String {
    format!(
        "the part of the filter about `{field}` does not concern the stream, which has no such field"
    )
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{FieldKind, Retention, StreamName, WorkspaceConnectorId};
    use serde_json::json;

    use super::*;

    fn fields(names: &[&str]) -> Vec<StreamField> {
        let field = |name: &&str| StreamField {
            name: (*name).to_owned(),
            kind: FieldKind::Integer,
            nullable: true,
        };
        names.iter().map(field).collect()
    }

    fn memory(names: &[&str]) -> StreamMemory {
        StreamMemory {
            fields: fields(names),
            primary_key: vec!["id".to_owned()],
            ..StreamMemory::default()
        }
    }

    #[test]
    fn what_concerns_no_field_of_old_or_of_now_is_told_of_a_stream_that_is_held() {
        let name: StreamName = "people".parse().unwrap();
        let (now, before) = (memory(&["id", "size"]), memory(&["id"]));
        let plan = StreamPlan {
            name: name.clone(),
            primary_key: now.primary_key.clone(),
            cursor: None,
            filter: StreamFilter::default(),
            policy: SchemaPolicy::DiscardValue,
            retention: Retention::default(),
            memory: now.clone(),
            shape: None,
            has_own_key: false,
        };
        let part = |field: &str| Condition::parse(&json!({ field: { "_gt": 1 } })).unwrap();
        let filter = Condition::And(["age", "id", "size"].map(part).into());
        let mut plan = plan.filtered_by(&filter).unwrap();
        let state = StreamState {
            workspace_connector_id: WorkspaceConnectorId::from_uuid(uuid::Uuid::nil()),
            stream: name,
            cursor_column: None,
            cursor_after: None,
            generation: 0,
            records: 0,
            synced_at: None,
            memory: Some(before.clone()),
            loaded_by: None,
            loaded_basis: None,
        };
        let mut notes = Notes::default();
        plan.prepare(Some(&state), &mut notes).unwrap();

        assert_eq!(plan.filter.parts, [part("id")]);
        assert_eq!(plan.filter.others, [part("size"), part("age")]);
        assert_eq!(plan.filter.missing, ["size", "age"]);
        let mut expected = Notes::default();
        for change in before.changes(&now.fields, &now.primary_key) {
            expected.add(DiagnosticReason::SchemaDrift, &change.to_string(), 0);
        }
        for field in ["age", "size"] {
            expected.add(DiagnosticReason::FilterUnsupported, &unconcerned(field), 0);
        }
        assert_eq!(notes, expected);
    }
}
