//! What a run notices of one stream.

use std::collections::BTreeMap;

use linkspan_domain::{
    Diagnostic, DiagnosticClass, DiagnosticId, DiagnosticReason, StreamName, SyncLog, ports::World,
};

/// What was noticed of a stream so far, and how often.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    noted: BTreeMap<(DiagnosticReason, String), u64>,
}

/// The most diagnostics that one stream leaves in one run.
const MOST: usize = 50;

impl Notes {
    /// Notes that `what` happened to `records` more of them. 0: it is not about records.
    pub(crate) fn add(&mut self, reason: DiagnosticReason, what: &str, records: u64) {
        match self.noted.get_mut(&(reason, what.to_owned())) {
            Some(count) => *count += records,
            None => drop(self.noted.insert((reason, what.to_owned()), records)),
        }
    }

    /// Adds what was noted elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        for ((reason, what), records) in other.noted {
            *self.noted.entry((reason, what)).or_default() += records;
        }
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.noted.is_empty()
    }

    /// Whether something like `reason` was noted.
    pub(crate) fn has(&self, reason: DiagnosticReason) -> bool {
        self.noted.keys().any(|(noted, _)| *noted == reason)
    }

    /// For how many reasons data was lost.
    pub(crate) fn losses(&self) -> u64 {
        let lost = |reason: &DiagnosticReason| reason.class() == DiagnosticClass::DataLoss;
        self.noted.keys().filter(|(reason, _)| lost(reason)).count() as u64
    }

    /// The same, to be kept.
    pub(crate) fn diagnostics(
        &self,
        run: &SyncLog,
        stream: Option<&StreamName>,
        world: &dyn World,
    ) -> Vec<Diagnostic> {
        let now = world.now();
        let diagnostic = |reason, detail| Diagnostic {
            id: DiagnosticId::from_uuid(world.uuid()),
            workspace_connector_id: run.workspace_connector_id,
            workspace_id: run.workspace_id,
            sync_log_id: Some(run.id),
            stream: stream.cloned(),
            target_model: None,
            reason,
            detail,
            created_at: now,
        };
        let noted = self.noted.iter().take(MOST);
        let mut all: Vec<_> = noted
            .map(|((reason, what), records)| diagnostic(*reason, sentence(what, *records)))
            .collect();
        if let Some(((reason, _), _)) = self.noted.iter().nth(MOST) {
            let more = self.noted.len() - MOST;
            all.push(diagnostic(*reason, format!("{more} more like these were noticed")));
        }
        all
    }
}

fn sentence(what: &str, records: u64) -> String {
    match records {
        0 => what.to_owned(),
        1 => format!("1 record: {what}"),
        many => format!("{many} records: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::DiagnosticReason::{EmptyResult, RecordsQuarantined, SchemaDrift};

    use super::{Notes, sentence};

    #[test]
    fn what_happens_often_is_noted_once_and_only_losses_are_losses() {
        let mut notes = Notes::default();
        notes.add(RecordsQuarantined, "`a` is null", 2);
        notes.add(RecordsQuarantined, "`a` is null", 3);
        notes.add(RecordsQuarantined, "`b` is null", 1);
        notes.add(SchemaDrift, "field `c` was added", 0);
        notes.add(EmptyResult, "nothing", 0);
        let told: Vec<_> = notes.noted.iter().map(|((_, what), n)| sentence(what, *n)).collect();
        let expect = ["field `c` was added", "5 records: `a` is null", "1 record: `b` is null"];
        assert_eq!(told, [&expect[..], &["nothing"]].concat());
        assert_eq!(notes.losses(), 2);
    }
}
