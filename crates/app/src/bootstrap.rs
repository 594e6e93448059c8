//! Activating a connector together with its schedule.

use std::sync::Arc;

use linkspan_domain::{
    Act, Action, Call, Code, Problem, Receipt, WorkspaceConnector, ports::ScheduleStore,
};

use crate::{
    ActivationError, Activations, NewActivation, ScheduleError, Schedules, SetSchedule,
    activations::Prepared, records::refused,
};

/// Makes activations that sync by themselves from the beginning. Managers of connectors may.
pub struct Bootstrap {
    activations: Arc<Activations>,
    schedules: Arc<Schedules>,
    store: Arc<dyn ScheduleStore>,
}

/// Why an activation was not made with its schedule. Then neither is there.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The activation.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// The schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl Problem for BootstrapError {
    fn code(&self) -> Code {
        match self {
            Self::Activation(error) => error.code(),
            Self::Schedule(error) => error.code(),
        }
    }

    fn pointer(&self) -> Option<String> {
        match self {
            Self::Activation(error) => error.pointer(),
            // It stands a step deeper here.
            Self::Schedule(error) => {
                let pointer = error.pointer()?;
                let attribute = pointer.strip_prefix("/data/attributes")?;
                Some(format!("/data/attributes/schedule{attribute}"))
            }
        }
    }
}

impl Bootstrap {
    /// Makes what `activations` and `schedules` make, at once, in the store of the latter.
    pub fn new(
        activations: Arc<Activations>,
        schedules: Arc<Schedules>,
        store: Arc<dyn ScheduleStore>,
    ) -> Self {
        Self { activations, schedules, store }
    }

    /// Activates a connector in the workspace of the call, and sets its schedule: both, or nothing.
    #[tracing::instrument(skip_all, fields(connector = %new.connector_id), err(level = "debug"))]
    pub async fn create(
        &self,
        call: &Call,
        new: NewActivation,
        set: SetSchedule,
    ) -> Result<WorkspaceConnector, BootstrapError> {
        let Prepared { activation, credentials } = self.activations.prepare(call, new).await?;
        let (schedule, act) = self.schedules.prepare(call, &activation, set).await?;
        let records = self.activations.records();
        let created = Act::new(Action::Created);
        let created = records.receipt(call, created, &activation);
        // One answer goes with the key: the activation.
        let scheduled = Receipt { reply: None, ..records.receipt(call, act, &activation) };
        let receipts = [created, scheduled];
        let kept =
            self.store.bootstrap(&activation, credentials.as_slice(), &schedule, &receipts).await;
        kept.map_err(refused::<WorkspaceConnector>(activation.id))
            .map_err(ActivationError::from)?;
        Ok(activation)
    }
}

#[cfg(test)]
mod tests {
    use linkspan_domain::{
        Recurrence, Role, SyncMode,
        ports::{MockScheduleStore, StoreError},
    };
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        ActivationStores, Pace,
        fixtures::{
            MockRuns, PLANTED, call, code, connector, empty, id, keep, ledger, sources, world,
        },
    };

    async fn create(
        role: Role,
        mode: SyncMode,
        outcome: Result<(), StoreError>,
    ) -> Result<WorkspaceConnector, BootstrapError> {
        let mut store = MockScheduleStore::new();
        let mut outcome = Some(outcome);
        store.expect_bootstrap().returning(move |activation, versions, schedule, receipts| {
            assert_eq!(versions[0].workspace_connector_id, activation.id);
            assert_eq!(schedule.workspace_connector_id, activation.id);
            assert_eq!(schedule.workspace_id, activation.workspace_id);
            let acts = receipts.each_ref().map(|it| it.audit.action.as_str());
            assert_eq!(acts, ["workspace_connector.created", "schedule.set"]);
            outcome.take().unwrap()
        });
        let store = Arc::new(store);
        let stores = ActivationStores {
            activations: empty(),
            connectors: keep(vec![connector(|_| {})]).store,
            people: empty(),
            tests: empty(),
            credentials: ledger(empty()),
            syncs: Arc::new(MockRuns::new()),
        };
        let activations = Activations::new(stores, sources(), world());
        let schedules = Schedules::new(Arc::clone(&store) as _, empty(), sources(), world());
        let bootstrap = Bootstrap::new(Arc::new(activations), Arc::new(schedules), store);
        let config: Map<_, _> =
            [("host".to_owned(), json!("shop")), ("password".to_owned(), json!(PLANTED))]
                .into_iter()
                .collect();
        let every_hour = Recurrence::Every(3600.try_into().unwrap());
        let set = SetSchedule { recurrence: every_hour, mode, pace: Pace::Running };
        bootstrap.create(&call(role), NewActivation::of(connector(|_| {}).id, config), set).await
    }

    #[tokio::test]
    async fn both_are_made_at_once() {
        let made = create(Role::Designer, SyncMode::Full, Ok(())).await.unwrap();
        assert_ne!(made.id, id(30));
        assert_eq!(code(create(Role::Analyst, SyncMode::Full, Ok(())).await), "permission.denied");
        let taken = create(Role::Designer, SyncMode::Full, Err(StoreError::Taken)).await;
        assert_eq!(code(taken), "resource.name_taken");
    }

    #[tokio::test]
    async fn a_schedule_that_could_never_work_leaves_no_activation() {
        let refused = create(Role::Designer, SyncMode::Incremental, Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), Code::CursorRequired);
        assert_eq!(refused.pointer().unwrap(), "/data/attributes/schedule/mode");
    }
}
