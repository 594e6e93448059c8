//! Writing what a mapping made of a page of changes.

use linkspan_domain::{EntityCounts, EntityDirection, ports::StoreError};
use linkspan_sdk::{ContentHash, MappedOutcome, MappedPage};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Mapping,
    feed::{Entries, entries},
    plan::{Existing, Gone, Known, Plan, Write},
};
use crate::{
    error::{corrupt, store_error, unstorable},
    instant::microseconds,
    number::signed,
    session::Session,
    store::stale_unless,
    table::{entity, entity_source, unmapped_record},
};

/// No statement takes more rows than this: databases limit how many values one takes.
const MOST_ROWS: usize = 500;

/// One page, being written.
pub(super) struct Writing<'a> {
    pub(super) session: &'a Session,
    pub(super) mapping: &'a Mapping,
    pub(super) page: &'a MappedPage,
}

impl Writing<'_> {
    pub(super) async fn all(&self) -> Result<EntityCounts, StoreError> {
        let workspaces = self.targets().await?;
        let known = self.known().await?;
        let plan = Plan::of(&self.page.records, &workspaces, &known);
        let ids = self.ids(&plan.write).await?;
        let entries = entries(self.session, plan.workspaces()).await?;
        self.write(&plan.write, &ids, &entries).await?;
        delete(self.session, &plan.delete, &entries, self.page.now).await?;
        self.trace(&plan.write, &ids).await?;
        let failed = self.set_aside().await?;
        let counts = plan.counts(failed);
        self.advance(&counts).await?;
        Ok(counts)
    }

    /// The workspaces that receive.
    async fn targets(&self) -> Result<Vec<i64>, StoreError> {
        let rows = self.session.rows(TARGETS, vec![self.mapping.activation_pk.into()]).await?;
        rows.iter().map(|row| row.try_get_by_index(0).map_err(store_error)).collect()
    }

    /// What there is of the records of the page.
    async fn known(&self) -> Result<Known, StoreError> {
        use entity::Column;
        let mut known = Known::new();
        for records in self.page.records.chunks(MOST_ROWS) {
            let ids = records.iter().map(|it| self.record_id(&it.key));
            let found = entity::Entity::find()
                .filter(Column::RecordId.is_in(ids))
                .select_only()
                .columns([Column::Pk, Column::EntityId, Column::WorkspacePk, Column::RecordKey])
                .columns([Column::Identity, Column::Hash, Column::DeletedAt])
                .into_query();
            let rows = self.session.query_all(&found).await.map_err(store_error)?;
            for row in rows {
                let row = There::from_query_result(&row, "").map_err(store_error)?;
                let hash = row.hash.try_into().map_err(|_| corrupt("a hash of another length"))?;
                let existing = Existing {
                    pk: row.pk,
                    id: row.entity_id,
                    identity: row.identity,
                    hash: ContentHash::from_bytes(hash),
                    is_deleted: row.deleted_at.is_some(),
                };
                known.entry((row.workspace_pk, row.record_key)).or_default().push(existing);
            }
        }
        Ok(known)
    }

    fn record_id(&self, key: &str) -> Uuid {
        let Mapping { activation, stream, target_model, .. } = self.mapping;
        entity::record_id(*activation, stream, target_model, key)
    }

    /// The identifier of each entity: the same object of a record in the same workspace becomes the same entity.
    async fn ids(&self, write: &[Write<'_>]) -> Result<Vec<Uuid>, StoreError> {
        let mut workspaces = std::collections::HashMap::new();
        let mut ids = Vec::with_capacity(write.len());
        for it in write {
            if let Some(id) = it.known {
                ids.push(id);
                continue;
            }
            let space: Uuid = if let Some(known) = workspaces.get(&it.workspace_pk) {
                *known
            } else {
                let row = self.session.row(WORKSPACE, vec![it.workspace_pk.into()]).await?;
                let row = row.ok_or(StoreError::Dangling)?;
                let id = row.try_get_by_index(0).map_err(store_error)?;
                workspaces.insert(it.workspace_pk, id);
                id
            };
            let name = format!("{} {}", self.record_id(it.key), it.identity);
            ids.push(Uuid::new_v5(&space, name.as_bytes()));
        }
        Ok(ids)
    }

    async fn write(
        &self,
        write: &[Write<'_>],
        ids: &[Uuid],
        entries: &Entries,
    ) -> Result<(), StoreError> {
        use entity::Column;
        for (write, ids) in write.chunks(MOST_ROWS).zip(ids.chunks(MOST_ROWS)) {
            let rows: Vec<_> = write
                .iter()
                .zip(ids)
                .map(|(it, id)| self.row(it, *id, entries))
                .collect::<Result<_, _>>()?;
            let changed = [
                Column::Item,
                Column::ExternalId,
                Column::Payload,
                Column::Hash,
                Column::LastSeenAt,
                Column::DeletedAt,
                Column::Entry,
            ];
            let again = OnConflict::column(Column::EntityId)
                .update_columns(changed)
                .value(Column::Revision, Expr::col((entity::Entity, Column::Revision)).add(1))
                .value(Column::AddedEntry, Expr::cust(ADDED_ENTRY))
                .to_owned();
            let insert = entity::Entity::insert_many(rows).on_conflict(again).into_query();
            self.session.execute(&insert).await.map_err(store_error)?;
        }
        Ok(())
    }

    fn row(
        &self,
        it: &Write<'_>,
        id: Uuid,
        entries: &Entries,
    ) -> Result<entity::ActiveModel, StoreError> {
        let entry = entries.of(it.workspace_pk);
        let payload = serde_json::from_str(&it.object.payload).map_err(unstorable)?;
        Ok(entity::ActiveModel {
            entity_id: Set(id),
            workspace_pk: Set(it.workspace_pk),
            workspace_connector_pk: Set(self.mapping.activation_pk),
            target_model: Set(self.mapping.target_model.clone()),
            record_id: Set(self.record_id(it.key)),
            stream: Set(self.mapping.stream.clone()),
            record_key: Set(it.key.to_owned()),
            item: Set(it.item),
            identity: Set(it.identity.clone()),
            external_id: Set(it.object.external_id.clone()),
            payload: Set(payload),
            hash: Set(it.object.hash.as_bytes().to_vec()),
            revision: Set(1),
            added_entry: Set(entry),
            entry: Set(entry),
            first_seen_at: Set(self.page.now),
            last_seen_at: Set(self.page.now),
            deleted_at: Set(None),
            ..entity::ActiveModel::default()
        })
    }

    /// Keeps where the entities come from.
    async fn trace(&self, write: &[Write<'_>], ids: &[Uuid]) -> Result<(), StoreError> {
        use entity_source::{ActiveModel, Column, Entity};
        let now = microseconds(self.page.now);
        for (write, ids) in write.chunks(MOST_ROWS).zip(ids.chunks(MOST_ROWS)) {
            let found = entity::Entity::find()
                .filter(entity::Column::EntityId.is_in(ids.iter().copied()))
                .select_only()
                .columns([entity::Column::EntityId, entity::Column::Pk])
                .into_query();
            let rows = self.session.query_all(&found).await.map_err(store_error)?;
            let mut pks = std::collections::HashMap::new();
            for row in rows {
                let id: Uuid = row.try_get("", "entity_id").map_err(store_error)?;
                let pk: i64 = row.try_get("", "pk").map_err(store_error)?;
                pks.insert(id, pk);
            }
            let rows = write.iter().zip(ids).filter_map(|(it, id)| {
                Some(ActiveModel {
                    entity_pk: Set(*pks.get(id)?),
                    workspace_connector_pk: Set(self.mapping.activation_pk),
                    direction: Set(EntityDirection::Input.to_string()),
                    stream: Set(self.mapping.stream.clone()),
                    record_key: Set(it.key.to_owned()),
                    run_pk: Set(Some(self.mapping.run_pk)),
                    first_seen_at: Set(now),
                    last_seen_at: Set(now),
                    ..ActiveModel::default()
                })
            });
            let key = [Column::EntityPk, Column::WorkspaceConnectorPk, Column::Direction];
            let again = OnConflict::columns(key)
                .update_columns([Column::RunPk, Column::LastSeenAt])
                .to_owned();
            let insert = Entity::insert_many(rows).on_conflict(again).into_query();
            self.session.execute(&insert).await.map_err(store_error)?;
        }
        Ok(())
    }

    /// Keeps the records that failed, and lets go of those that did not any more. Answers how many failed.
    async fn set_aside(&self) -> Result<u64, StoreError> {
        use unmapped_record::{ActiveModel, Column, Entity};
        let now = microseconds(self.page.now);
        let mut count = 0;
        for records in self.page.records.chunks(MOST_ROWS) {
            let mapped = records
                .iter()
                .filter(|it| !matches!(it.outcome, MappedOutcome::Failed(_)))
                .map(|it| self.record_id(&it.key));
            let delete = Entity::delete_many()
                .filter(Column::ConnectorMappingPk.eq(self.mapping.pk))
                .filter(Column::RecordId.is_in(mapped));
            delete.exec(self.session).await.map_err(store_error)?;
            let failed = records.iter().filter_map(|it| match &it.outcome {
                MappedOutcome::Failed(reason) => Some(ActiveModel {
                    connector_mapping_pk: Set(self.mapping.pk),
                    record_id: Set(self.record_id(&it.key)),
                    record_key: Set(it.key.clone()),
                    reason: Set(reason.clone()),
                    first_seen_at: Set(now),
                    last_seen_at: Set(now),
                    ..ActiveModel::default()
                }),
                MappedOutcome::Objects(_) | MappedOutcome::Gone => None,
            });
            let failed: Vec<_> = failed.collect();
            if failed.is_empty() {
                continue;
            }
            count += failed.len() as u64;
            let again = OnConflict::columns([Column::ConnectorMappingPk, Column::RecordId])
                .update_columns([Column::Reason, Column::LastSeenAt])
                .to_owned();
            let insert = Entity::insert_many(failed).on_conflict(again).into_query();
            self.session.execute(&insert).await.map_err(store_error)?;
        }
        Ok(count)
    }

    /// Moves the mapping on, and counts what it did.
    async fn advance(&self, counts: &EntityCounts) -> Result<(), StoreError> {
        let records = &self.page.records;
        let given = records.iter().filter(|it| it.outcome != MappedOutcome::Gone).count();
        let became =
            |it: &MappedOutcome| matches!(it, MappedOutcome::Objects(all) if !all.is_empty());
        let persisted = records.iter().filter(|it| became(&it.outcome)).count();
        let values = vec![
            self.mapping.version_pk.into(),
            self.page.to.generation.into(),
            self.page.to.key.clone().into(),
            signed(given as u64).into(),
            signed(persisted as u64).into(),
            signed(counts.failed).into(),
            signed(counts.written).into(),
            self.mapping.run_pk.into(),
        ];
        stale_unless(self.session.run(ADVANCE, values).await?)
    }
}

/// Deletes entities, as the entries of their workspaces.
pub(super) async fn delete(
    session: &Session,
    gone: &[Gone],
    entries: &Entries,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    use entity::Column;
    for (workspace_pk, entry) in entries.iter() {
        let of_workspace = |it: &&Gone| it.workspace_pk == workspace_pk;
        let pks: Vec<i64> = gone.iter().filter(of_workspace).map(|it| it.pk).collect();
        for pks in pks.chunks(MOST_ROWS) {
            let update = entity::Entity::update_many()
                .col_expr(Column::DeletedAt, Expr::val(now))
                .col_expr(Column::LastSeenAt, Expr::val(now))
                .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
                .col_expr(Column::Entry, Expr::val(entry))
                .filter(Column::Pk.is_in(pks.iter().copied()))
                .filter(Column::DeletedAt.is_null());
            update.exec(session).await.map_err(store_error)?;
        }
    }
    Ok(())
}

/// What is known of an entity.
#[derive(FromQueryResult)]
struct There {
    pk: i64,
    entity_id: Uuid,
    workspace_pk: i64,
    record_key: String,
    identity: String,
    hash: Vec<u8>,
    deleted_at: Option<OffsetDateTime>,
}

/// What was deleted and comes back appears anew.
const ADDED_ENTRY: &str = "\
    CASE WHEN entities.deleted_at IS NULL THEN entities.added_entry ELSE excluded.added_entry END";

/// The live targets of an activation, within its organization: activation.
const TARGETS: &str = "\
    SELECT t.workspace_pk FROM workspace_connector_sync_targets t \
    JOIN workspaces target ON target.pk = t.workspace_pk \
    JOIN workspace_connectors w ON w.pk = t.workspace_connector_pk \
    JOIN workspaces own ON own.pk = w.workspace_pk \
    WHERE t.workspace_connector_pk = $1 AND t.deleted_at IS NULL AND target.deleted_at IS NULL \
        AND target.organization_pk = own.organization_pk \
    ORDER BY t.workspace_pk";

const WORKSPACE: &str = "SELECT workspace_id FROM workspaces WHERE pk = $1";

/// Moves a version on: version, generation, key, records given, persisted, failed, entities written, run.
const ADVANCE: &str = "\
    UPDATE connector_mapping_versions SET position_generation = $2, position_key = $3, \
        mapped = mapped + $4, persisted = persisted + $5, failed = failed + $6, \
        last_persist_count = $7 + CASE WHEN last_run_pk = $8 THEN last_persist_count ELSE 0 END, \
        last_run_pk = $8 \
    WHERE pk = $1";
