//! Who may do what: every method of every service, tried in every role.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::stream;
use linkspan_domain::{
    Call, Condition, Deleted, FilterScope, ListQuery, Permission, Role, TargetModel,
    ports::{FileStore, MockAccessStore, MockKeyStore, MockRunQueue, World},
};
use linkspan_engine::Models;
use serde_json::Map;
use strum::IntoEnumIterator;

use crate::{
    ActivationPatch, ActivationStores, Activations, ApiKeys, Audit, Authorize, Catalog, Draft,
    DraftOf, DryRun, DryRunOf, Entities, Files, FilterPatch, Filters, FindEntities, Installing,
    Keys, MappingPatch, NewActivation, NewApiKey, NewFilter, NewPerson, NewProvider,
    NewProviderConnector, NewSyncTarget, NewWorkspace, OnFailure, People, PersonPatch,
    ProviderConnectorPatch, ProviderConnectors, ProviderPatch, Providers, Rotation, Seeding,
    Sessions, StartSync, SuggestMappings, SyncTargets, Syncs, TargetModels, Turnover,
    WorkspacePatch, Workspaces,
    fixtures::{
        MockCatalog, MockRuns, Shelf, call, code, connector, empty, id, keep, key, ledger,
        no_chain, own_workspace, page, sources, types, vault, world,
    },
    grants::fake::nothing_to_connect,
    keys::tests::MockRotations,
    mappings::tests::Versions,
};

/// What came of each thing that was tried.
type Tried = Vec<(&'static str, String)>;

/// The roles that may do each thing. In this world there is nothing to be found, so that all others get that far.
#[tokio::test]
async fn each_role_may_do_what_is_documented() {
    let mut may = Vec::new();
    for role in Role::iter() {
        let tried = everything(&call(role)).await;
        for (index, (what, outcome)) in tried.into_iter().enumerate() {
            if may.len() <= index {
                may.push(what.to_owned() + ":");
            }
            if outcome != "permission.denied" {
                may[index].extend([" ", role.into()]);
            }
        }
    }
    assert_eq!(may.join("\n"), EXPECTED.trim());
}

const EXPECTED: &str = "
connectors read: admin designer analyst
connectors create: admin
connectors update: admin
connectors delete: admin
connectors restore: admin
connectors purge: admin
catalog seed: admin
connector types list: admin designer analyst
connector types get: admin designer analyst
providers read: admin designer analyst
providers create: admin
providers update: admin
providers delete: admin
providers restore: admin
providers purge: admin
provider connectors read: admin designer analyst
provider connectors create: admin
provider connectors update: admin
provider connectors delete: admin
provider connectors restore: admin
provider connectors purge: admin
files read: admin designer analyst
files upload: admin designer
files create: admin designer
files delete: admin designer
filters read: admin designer analyst
filters effective: admin designer analyst viewer
filters create custom: admin designer
filters create template: admin
filters update: admin designer
filters delete: admin designer
filters restore: admin designer
filters purge: admin designer
workspaces read: admin designer analyst viewer
workspaces create: admin
workspaces update: admin
workspaces delete: admin
workspaces restore: admin
workspaces purge: admin
people read: admin designer analyst viewer
people create: admin
people update: admin
people delete: admin
people restore: admin
people purge: admin
api keys read: admin
api keys create: admin
api keys revoke: admin
audit read: admin
keys read: admin
keys list: admin
keys rotate: admin
audit verify: admin
activations read: admin designer analyst
activations create: admin designer
activations update: admin designer
activations delete: admin designer
activations restore: admin designer
activations purge: admin designer
activations models: admin designer analyst
activations test draft: admin designer
activations test: admin designer
activations list tests: admin designer analyst
activations rotate: admin designer
activations roll back: admin designer
activations revoke version: admin designer
activations list versions: admin designer analyst
syncs read: admin designer analyst
syncs cancel: admin designer
syncs start: admin designer
mappings read: admin designer analyst
mappings versions: admin designer analyst
mappings unmapped: admin designer analyst
mappings create: admin designer
mappings update: admin designer
mappings revert: admin designer
mappings delete: admin designer
mappings restore: admin designer
mappings purge: admin designer
mappings dry run: admin designer
mappings suggest: admin designer
target models list: admin designer analyst
target models get: admin designer analyst
entities read: admin designer analyst
entities sources: admin designer analyst
entities find: admin designer analyst
sync targets read: admin designer analyst
sync targets create: admin designer
sync targets delete: admin designer
sync targets restore: admin designer
sync targets purge: admin designer
activations connect: admin designer
connectors install: admin designer
";

async fn everything(call: &Call) -> Tried {
    let mut tried = catalog(call).await;
    tried.extend(providers(call).await);
    tried.extend(files(call).await);
    tried.extend(filters(call).await);
    tried.extend(organization(call).await);
    tried.extend(activations(call).await);
    tried.extend(mappings(call).await);
    tried.extend(grants(call).await);
    tried
}

async fn catalog(call: &Call) -> Tried {
    let mut store = MockCatalog::new();
    store.expect_find().returning(|_, _| Ok(None));
    store.expect_write().returning(|_, _| Ok(()));
    let catalog = Catalog::new(Arc::new(store), Arc::new(types()), world());
    let seeding = Seeding::new(empty(), Arc::new(MockAccessStore::new()), world());
    let (types, caller, entry) = (types(), &call.caller, connector(|_| {}).entry);
    vec![
        ("connectors read", code(catalog.records().get(caller, id(1)).await)),
        ("connectors create", code(catalog.create(call, entry).await)),
        ("connectors update", code(catalog.update(call, id(1), None, |_| {}).await)),
        ("connectors delete", code(catalog.delete(call, id(1), None).await)),
        ("connectors restore", code(catalog.restore(call, id(1), None).await)),
        ("connectors purge", code(catalog.purge(call, id(1), None).await)),
        ("catalog seed", code(seeding.seed(call, Vec::new()).await)),
        ("connector types list", code(types.list(caller))),
        ("connector types get", code(types.get(caller, "absent"))),
    ]
}

async fn providers(call: &Call) -> Tried {
    let it = Providers::new(empty(), world());
    let pairs = ProviderConnectors::new(empty(), empty(), empty(), world());
    let new = NewProvider {
        name: "Paper".parse().unwrap(),
        slug: "paper".parse().unwrap(),
        url: None,
        logo_url: None,
        category: None,
        countries: Vec::new(),
        blueprint: None,
        skill: None,
    };
    let pair = NewProviderConnector { provider_id: id(1), connector_id: id(1) };
    let same = ProviderConnectorPatch::default();
    vec![
        ("providers read", code(it.records().get(&call.caller, id(1)).await)),
        ("providers create", code(it.create(call, new).await)),
        ("providers update", code(it.update(call, id(1), None, ProviderPatch::default()).await)),
        ("providers delete", code(it.delete(call, id(1), None).await)),
        ("providers restore", code(it.restore(call, id(1), None).await)),
        ("providers purge", code(it.purge(call, id(1), None).await)),
        ("provider connectors read", code(pairs.records().get(&call.caller, id(1)).await)),
        ("provider connectors create", code(pairs.create(call, pair).await)),
        ("provider connectors update", code(pairs.update(call, id(1), None, same).await)),
        ("provider connectors delete", code(pairs.delete(call, id(1), None).await)),
        ("provider connectors restore", code(pairs.restore(call, id(1), None).await)),
        ("provider connectors purge", code(pairs.purge(call, id(1), None).await)),
    ]
}

async fn files(call: &Call) -> Tried {
    let it = Files::new(empty(), Arc::new(Shelf::default()), 1, world());
    let received = it.receive(call, None, Box::pin(stream::empty())).await.map(drop);
    let given = Shelf::default().receive(Box::pin(stream::empty()), 1).await.unwrap();
    vec![
        ("files read", code(it.records().get(&call.caller, id(1)).await)),
        ("files upload", code(received)),
        ("files create", code(it.create(call, "a.csv".parse().unwrap(), given).await)),
        ("files delete", code(it.delete(call, id(1), None).await)),
    ]
}

async fn filters(call: &Call) -> Tried {
    let it = Filters::new(empty(), empty(), world());
    let new = |scope| NewFilter {
        connector_id: id(1),
        scope,
        config: Condition::always(),
        natural_language: None,
    };
    let (custom, template) = (FilterScope::Custom(own_workspace()), FilterScope::Template);
    vec![
        ("filters read", code(it.records().get(&call.caller, id(1)).await)),
        ("filters effective", code(it.effective(&call.caller, &[]).await)),
        ("filters create custom", code(it.create(call, new(custom)).await)),
        ("filters create template", code(it.create(call, new(template)).await)),
        ("filters update", code(it.update(call, id(1), None, FilterPatch::default()).await)),
        ("filters delete", code(it.delete(call, id(1), None).await)),
        ("filters restore", code(it.restore(call, id(1), None).await)),
        ("filters purge", code(it.purge(call, id(1), None).await)),
    ]
}

async fn organization(call: &Call) -> Tried {
    let sessions = Arc::<Sessions>::default();
    let access = Arc::new(MockAccessStore::new());
    let workspaces = Workspaces::new(
        empty(),
        access,
        empty(),
        Arc::new(Shelf::default()),
        Arc::clone(&sessions),
        world(),
    );
    let people = People::new(empty(), empty(), Arc::clone(&sessions), world());
    let mint = |_: &str| Ok(key("lsk_new"));
    let keys = ApiKeys::new(empty(), empty(), empty(), sessions, mint, world());
    let audit = Audit::new(empty(), no_chain(), world());
    let mut rotations = MockRotations::new();
    rotations.expect_list().returning(|_, _| Ok(page(Vec::new())));
    rotations.expect_start().returning(|it, _| Ok(it.clone()));
    let mut sealed = MockKeyStore::new();
    sealed.expect_census().returning(|| Ok(Vec::new()));
    sealed.expect_usage().returning(|| Ok(Vec::new()));
    let master_keys =
        Keys::new(Arc::new(rotations), Arc::new(sealed), vault(), world(), Arc::default());
    let workspace = NewWorkspace {
        name: "New".parse().unwrap(),
        slug: "new".parse().unwrap(),
        parent_id: None,
        external_workspace_id: None,
    };
    let person = NewPerson {
        name: "Ada".parse().unwrap(),
        email: "ada@example.com".parse().unwrap(),
        role: Role::Viewer,
        workspaces: BTreeSet::new(),
    };
    let api_key = NewApiKey {
        name: "New".parse().unwrap(),
        person_id: None,
        permissions: [Permission::ConnectorRead].into(),
        workspaces: BTreeSet::new(),
        expires_at: None,
    };
    let (none, same) = (WorkspacePatch::default(), PersonPatch::default());
    vec![
        ("workspaces read", code(workspaces.records().get(&call.caller, id(1)).await)),
        ("workspaces create", code(workspaces.create(call, workspace).await)),
        ("workspaces update", code(workspaces.update(call, id(1), None, none).await)),
        ("workspaces delete", code(workspaces.delete(call, id(1), None).await)),
        ("workspaces restore", code(workspaces.restore(call, id(1), None).await)),
        ("workspaces purge", code(workspaces.purge(call, id(1), None).await)),
        ("people read", code(people.records().get(&call.caller, id(1)).await)),
        ("people create", code(people.create(call, person).await)),
        ("people update", code(people.update(call, id(1), None, same).await)),
        ("people delete", code(people.delete(call, id(1), None).await)),
        ("people restore", code(people.restore(call, id(1), None).await)),
        ("people purge", code(people.purge(call, id(1), None).await)),
        ("api keys read", code(keys.records().get(&call.caller, id(1)).await)),
        ("api keys create", code(keys.create(call, api_key).await)),
        ("api keys revoke", code(keys.revoke(call, id(1), None).await)),
        ("audit read", code(audit.records().list(&call.caller, &ListQuery::default()).await)),
        ("keys read", code(master_keys.records().list(&call.caller, &ListQuery::default()).await)),
        ("keys list", code(master_keys.list(&call.caller).await)),
        ("keys rotate", code(master_keys.rotate(call).await)),
        ("audit verify", code(audit.verify(&call.caller).await)),
    ]
}

fn nothing_activated() -> ActivationStores {
    ActivationStores {
        activations: empty(),
        connectors: empty(),
        people: empty(),
        tests: empty(),
        credentials: ledger(empty()),
        syncs: Arc::new(MockRuns::new()),
    }
}

async fn activations(call: &Call) -> Tried {
    let clock: Arc<dyn World> = world();
    let it = Activations::new(nothing_activated(), sources(), Arc::clone(&clock));
    let mut runs = MockRuns::new();
    runs.expect_list().returning(|_, _| Ok(page(Vec::new())));
    runs.expect_find().returning(|_, _| Ok(Some(crate::connections::tests::run())));
    let syncs =
        Syncs::new(Arc::new(runs), Arc::new(MockRunQueue::new()), empty(), sources(), clock);
    let (caller, all) = (&call.caller, ListQuery::default());
    let new = NewActivation::of(id(1), Map::new());
    let draft = Draft { of: DraftOf::Type("fake".parse().unwrap()), config: Map::new() };
    let patch = ActivationPatch::default();
    let turnover = Turnover::default();
    let rotation =
        Rotation { config: Map::new(), on_failure: OnFailure::Refuse, turnover: turnover.clone() };
    let sync = StartSync { mode: None, streams: Vec::new() };
    vec![
        ("activations read", code(it.records().get(caller, id(1)).await)),
        ("activations create", code(it.create(call, new).await)),
        ("activations update", code(it.update(call, id(1), None, patch).await)),
        ("activations delete", code(it.delete(call, id(1), None).await)),
        ("activations restore", code(it.restore(call, id(1), None).await)),
        ("activations purge", code(it.purge(call, id(1), None).await)),
        ("activations models", code(it.models(caller, id(1)).await)),
        ("activations test draft", code(it.test_draft(call, draft).await)),
        ("activations test", code(it.test(call, id(1), Map::new()).await)),
        ("activations list tests", code(it.list_tests(caller, id(1), &all).await)),
        ("activations rotate", code(it.rotate(call, id(1), None, rotation).await)),
        ("activations roll back", code(it.roll_back(call, id(1), id(2), None, turnover).await)),
        ("activations revoke version", code(it.revoke_version(call, id(1), id(2), None).await)),
        ("activations list versions", code(it.list_versions(caller, id(1), &all).await)),
        ("syncs read", code(syncs.records().list(caller, &all).await)),
        ("syncs cancel", code(syncs.cancel(call, id(70)).await)),
        ("syncs start", code(syncs.start(call, id(1), sync).await)),
    ]
}

async fn mappings(call: &Call) -> Tried {
    let it = crate::mappings::tests::mappings(&keep(Vec::new()), &[]);
    let models = Models::parse(include_str!("../../../seeds/models.json")).unwrap();
    let models = Arc::new(models);
    let entities =
        Entities::new(empty(), Arc::new(Versions::default()), Arc::clone(&models), world());
    let models = TargetModels::new(&models);
    let targets = SyncTargets::new(empty(), empty(), empty(), world());
    let (caller, same) = (&call.caller, MappingPatch::default());
    let find = FindEntities {
        model: TargetModel::Invoice,
        activation: None,
        condition: Condition::And(Vec::new()),
        deleted: Deleted::Hidden,
        after: None,
        limit: 1,
    };
    let new = crate::mappings::tests::new("{}");
    let run = DryRun { of: DryRunOf::Kept(id(1)), expression: None, records: None };
    let target = NewSyncTarget { workspace_connector_id: id(1), target_workspace_id: id(1) };
    vec![
        ("mappings read", code(it.records().get(caller, id(1)).await)),
        ("mappings versions", code(it.versions(caller, id(1)).await)),
        ("mappings unmapped", code(it.unmapped(caller, id(1)).await)),
        ("mappings create", code(it.create(call, new).await)),
        ("mappings update", code(it.update(call, id(1), None, same).await)),
        ("mappings revert", code(it.revert(call, id(1), None, 1).await)),
        ("mappings delete", code(it.delete(call, id(1), None).await)),
        ("mappings restore", code(it.restore(call, id(1), None).await)),
        ("mappings purge", code(it.purge(call, id(1), None).await)),
        ("mappings dry run", code(it.dry_run(call, run).await)),
        ("mappings suggest", code(it.suggest(call, id(1), SuggestMappings::default()).await)),
        ("target models list", code(models.list(caller))),
        ("target models get", code(models.get(caller, "absent"))),
        ("entities read", code(entities.records().get(caller, id(1)).await)),
        ("entities sources", code(entities.sources(caller, id(1)).await)),
        ("entities find", code(entities.find(caller, find).await)),
        ("sync targets read", code(targets.records().get(caller, id(1)).await)),
        ("sync targets create", code(targets.create(call, target).await)),
        ("sync targets delete", code(targets.delete(call, id(1), None).await)),
        ("sync targets restore", code(targets.restore(call, id(1), None).await)),
        ("sync targets purge", code(targets.purge(call, id(1), None).await)),
    ]
}

async fn grants(call: &Call) -> Tried {
    let activations = Activations::new(nothing_activated(), sources(), world());
    let connecting = Arc::new(nothing_to_connect().await);
    let installing = Installing::new(Arc::clone(&connecting), Arc::new(activations), empty());
    let (workspace, wanted) = (own_workspace(), Authorize::default());
    vec![
        ("activations connect", code(connecting.authorize(call, id(1), wanted.clone()).await)),
        ("connectors install", code(installing.access(call, workspace, "absent", wanted).await)),
    ]
}
