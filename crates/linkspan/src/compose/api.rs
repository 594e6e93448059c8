//! The services behind the API.

use std::sync::Arc;

use linkspan_api::{Limits, Probes};
use linkspan_app::{
    ApiKeys, Audit, Bootstrap, Catalog, Data, Diagnostics, Entities, Files, FilterPlans, Filters,
    Idempotency, Keys, MappingStores, Mappings, People, ProviderConnectors, Providers, RunWatch,
    Schedules, Sessions, Sources, Streams, SyncTargets, Syncs, TargetModels, Workspaces,
};
use linkspan_domain::ports::World;
use tokio_util::sync::CancellationToken;

use super::Platform;
use crate::workshop::Workshop;

impl Platform {
    /// The API over this platform. What it sends as it happens ends when it is `closing`.
    pub(crate) fn api(
        &self,
        probes: Probes,
        limits: Limits,
        closing: CancellationToken,
    ) -> linkspan_api::App {
        let db = &self.workshop.database;
        let (activations, filters, schedules) =
            (Arc::new(self.workshop.activations()), self.filters(), self.schedules());
        let connecting = Arc::new(self.workshop.oauth.connecting(self.sources()));
        let installing = Arc::new(self.workshop.oauth.installing(&connecting, &activations));
        let visiting = Arc::new(self.workshop.oauth.visiting(&connecting));
        let bootstrap =
            Bootstrap::new(Arc::clone(&activations), Arc::clone(&schedules), db.schedules());
        linkspan_api::App {
            access: Arc::clone(&self.access),
            activations,
            api_keys: self.api_keys(),
            audit: Arc::new(Audit::new(db.audit_events(), db.audit_chain(), self.world())),
            bootstrap: Arc::new(bootstrap),
            catalog: Arc::new(Catalog::new(
                db.connectors(),
                Arc::clone(&self.workshop.types),
                self.world(),
            )),
            connecting,
            diagnostics: Arc::new(Diagnostics::new(db.diagnostics(), self.world())),
            entities: self.entities(),
            files: self.files(),
            filter_plans: self.filter_plans(&filters),
            filters,
            idempotency: Arc::new(Idempotency::new(db.idempotency(), self.world())),
            installing,
            keys: self.keys(),
            mappings: self.mappings(),
            people: self.people(),
            provider_connectors: self.provider_connectors(),
            providers: Arc::new(Providers::new(db.providers(), self.world())),
            data: Arc::new(Data::new(db.records(), db.workspace_connectors(), self.world())),
            run_watch: self.run_watch(closing),
            schedules,
            streams: self.streams(),
            sync_targets: self.sync_targets(),
            syncs: self.syncs(),
            target_models: Arc::new(TargetModels::new(&self.workshop.models)),
            connector_types: Arc::clone(&self.workshop.types),
            visiting,
            workspaces: self.workspaces(),
            snapshots: db.snapshots(),
            world: self.world(),
            probes,
            limits,
            proxies: self.proxies.clone(),
        }
    }

    fn world(&self) -> Arc<dyn World> {
        Arc::clone(&self.workshop.world)
    }

    fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.workshop.sources)
    }

    fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    fn api_keys(&self) -> Arc<ApiKeys> {
        let db = &self.workshop.database;
        Arc::new(ApiKeys::new(
            db.api_keys(),
            db.people(),
            db.workspaces(),
            self.sessions(),
            linkspan_vault::random_token,
            self.world(),
        ))
    }

    fn entities(&self) -> Arc<Entities> {
        let Workshop { database: db, models, .. } = &self.workshop;
        Arc::new(Entities::new(db.entities(), db.mapped(), Arc::clone(models), self.world()))
    }

    fn files(&self) -> Arc<Files> {
        let (files, most) = (Arc::clone(&self.files), self.upload_bytes);
        Arc::new(Files::new(self.workshop.database.files(), files, most, self.world()))
    }

    fn filter_plans(&self, filters: &Arc<Filters>) -> Arc<FilterPlans> {
        Arc::new(FilterPlans::new(
            self.workshop.database.workspace_connectors(),
            Arc::clone(filters),
            self.sources(),
            self.workshop.database.syncs(),
            self.world(),
        ))
    }

    fn filters(&self) -> Arc<Filters> {
        let db = &self.workshop.database;
        Arc::new(Filters::new(db.connector_filters(), db.connectors(), self.world()))
    }

    fn keys(&self) -> Arc<Keys> {
        let Workshop { database: db, vault, rotation_started, .. } = &self.workshop;
        let (vault, started) = (Arc::clone(vault) as _, Arc::clone(rotation_started));
        Arc::new(Keys::new(db.key_rotations(), db.keys(), vault, self.world(), started))
    }

    fn mappings(&self) -> Arc<Mappings> {
        let Workshop { database: db, models, .. } = &self.workshop;
        let stores = MappingStores {
            mappings: db.connector_mappings(),
            activations: db.workspace_connectors(),
            connectors: db.connectors(),
            entities: db.mapped(),
            records: db.records(),
        };
        Arc::new(Mappings::new(stores, Arc::clone(models), self.sources(), self.world()))
    }

    fn people(&self) -> Arc<People> {
        let db = &self.workshop.database;
        Arc::new(People::new(db.people(), db.workspaces(), self.sessions(), self.world()))
    }

    fn provider_connectors(&self) -> Arc<ProviderConnectors> {
        let db = &self.workshop.database;
        Arc::new(ProviderConnectors::new(
            db.provider_connectors(),
            db.providers(),
            db.connectors(),
            self.world(),
        ))
    }

    fn run_watch(&self, closing: CancellationToken) -> Arc<RunWatch> {
        let Workshop { database: db, events, .. } = &self.workshop;
        Arc::new(RunWatch::new(db.syncs(), events.clone(), closing, self.world()))
    }

    fn schedules(&self) -> Arc<Schedules> {
        let db = &self.workshop.database;
        Arc::new(Schedules::new(
            db.schedules(),
            db.workspace_connectors(),
            self.sources(),
            self.world(),
        ))
    }

    fn streams(&self) -> Arc<Streams> {
        let db = &self.workshop.database;
        Arc::new(Streams::new(db.syncs(), db.workspace_connectors(), self.sources(), self.world()))
    }

    fn sync_targets(&self) -> Arc<SyncTargets> {
        let db = &self.workshop.database;
        Arc::new(SyncTargets::new(
            db.sync_targets(),
            db.workspace_connectors(),
            db.workspaces(),
            self.world(),
        ))
    }

    fn syncs(&self) -> Arc<Syncs> {
        let Workshop { database: db, queue, .. } = &self.workshop;
        Arc::new(Syncs::new(
            db.syncs(),
            Arc::clone(queue),
            db.workspace_connectors(),
            self.sources(),
            self.world(),
        ))
    }

    fn workspaces(&self) -> Arc<Workspaces> {
        let db = &self.workshop.database;
        Arc::new(Workspaces::new(
            db.workspaces(),
            db.access(),
            db.workspace_connectors(),
            Arc::clone(&self.files),
            self.sessions(),
            self.world(),
        ))
    }
}
