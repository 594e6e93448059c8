//! What is sealed, wherever that is, and how often keys have sealed.

use async_trait::async_trait;
use linkspan_domain::ports::{
    KeyId, KeyStore, KeyUsage, Purpose, Resealed, SealContext, Sealed, SealedAt, SealedCount,
    SealedRow, StoreError,
};
use sea_orm::{QueryResult, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Database,
    error::{corrupt, store_error},
    instant::microseconds,
    number::unsigned,
    session::Session,
};

/// A column that holds sealed blobs. Each is bound to the public identifier of its row, and to the purpose.
pub(crate) struct Place {
    pub(crate) table: &'static str,
    id: &'static str,
    blob: &'static str,
    purpose: Purpose,
    /// The name of the activation that it belongs to.
    name: &'static str,
}

const OWN: &str = "name";
const BY_PK: &str =
    "(SELECT w.name FROM workspace_connectors w WHERE w.pk = place.workspace_connector_pk)";
const BY_ID: &str = "(SELECT w.name FROM workspace_connectors w \
    WHERE w.workspace_connector_id = place.workspace_connector_id)";

/// All columns that hold sealed blobs. What is missing here is not sealed anew when the master key is rotated.
///
/// Whoever writes rows of several of these tables takes them in this order, an activation first, so that no two wait for each
/// other.
pub(crate) const PLACES: [Place; 12] = [
    Place {
        table: "workspace_connectors",
        id: "workspace_connector_id",
        blob: "secrets",
        purpose: Purpose::Credentials,
        name: OWN,
    },
    Place {
        table: "credential_versions",
        id: "credential_version_id",
        blob: "secrets",
        purpose: Purpose::Credentials,
        name: BY_PK,
    },
    Place::of_grant("oauth_grants", "held", BY_ID),
    Place::of_grant("oauth_grants", "previous", BY_ID),
    Place::of_grant("oauth_grants", "reply", BY_ID),
    Place {
        table: "authorizations",
        id: "authorization_id",
        blob: "content",
        purpose: Purpose::Authorization,
        name: BY_ID,
    },
    Place {
        table: "oauth_clients",
        id: "oauth_client_id",
        blob: "client",
        purpose: Purpose::ClientRegistration,
        name: BY_ID,
    },
    Place::of_grant("oauth_leftovers", "held", OWN),
    Place {
        table: "oauth_leftovers",
        id: "oauth_client_id",
        blob: "client",
        purpose: Purpose::ClientRegistration,
        name: OWN,
    },
    Place::of_grant("oauth_leftovers", "previous", OWN),
    Place::of_grant("oauth_leftovers", "reply", OWN),
    Place {
        table: "oauth_leftovers",
        id: "authorization_id",
        blob: "answer",
        purpose: Purpose::Authorization,
        name: OWN,
    },
];

/// Finds what is sealed, on either database.
pub(crate) struct SqlKeys {
    db: Database,
}

impl SqlKeys {
    pub(crate) const fn new(db: Database) -> Self {
        Self { db }
    }
}

const USAGE: &str = "SELECT key_id, purpose, sealed FROM key_usage ORDER BY key_id, purpose";

/// Key, purpose, how many more, when.
const COUNT: &str = "\
    INSERT INTO key_usage (key_id, purpose, sealed, updated_at) \
    VALUES ($1, $2, CASE WHEN $3 > 0 THEN $3 ELSE 0 END, $4) \
    ON CONFLICT (key_id, purpose) DO UPDATE SET updated_at = excluded.updated_at, \
        sealed = CASE WHEN key_usage.sealed + $3 > 0 THEN key_usage.sealed + $3 ELSE 0 END \
    RETURNING sealed";

#[async_trait]
impl KeyStore for SqlKeys {
    async fn census(&self) -> Result<Vec<SealedCount>, StoreError> {
        let session = self.db.read().await?;
        let mut counts = Vec::new();
        for place in &PLACES {
            for row in session.rows_of(place.census(), Vec::new()).await? {
                let head = row.try_get_by_index(0).map(Sealed::from_bytes).map_err(store_error)?;
                let count = row.try_get_by_index(1).map(unsigned).map_err(store_error)?;
                counts.push(SealedCount { key: head.key_id().ok(), purpose: place.purpose, count });
            }
        }
        Ok(counts)
    }

    async fn sealed_otherwise(
        &self,
        key: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let session = self.db.read().await?;
        let first = after.map_or(0, |it| it.place);
        let mut found = Vec::new();
        for (number, place) in PLACES.iter().enumerate().skip(first) {
            let after = after.filter(|it| it.place == number).map_or(i64::MIN, |it| it.row);
            let left = i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX);
            if left <= 0 {
                break;
            }
            let header = Sealed::header(key).to_vec();
            let values = vec![header.into(), after.into(), left.into()];
            for row in session.rows_of(place.sealed_otherwise(), values).await? {
                found.push(place.row(number, &row).map_err(store_error)?);
            }
        }
        Ok(found)
    }

    async fn usage(&self) -> Result<Vec<KeyUsage>, StoreError> {
        let session = self.db.read().await?;
        let rows = session.rows(USAGE, Vec::new()).await?;
        rows.iter().map(used).collect()
    }

    async fn count(
        &self,
        key: KeyId,
        purpose: Purpose,
        more: i64,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let session = self.db.write().await?;
        let values = vec![
            key.as_bytes().to_vec().into(),
            purpose.as_ref().into(),
            more.into(),
            microseconds(now).into(),
        ];
        let row = session.row(COUNT, values).await?;
        let row = row.ok_or_else(|| corrupt("a count was not kept"))?;
        let sealed = row.try_get_by_index(0).map(unsigned).map_err(store_error)?;
        session.commit().await?;
        Ok(sealed)
    }
}

/// Puts `blobs` in the place of those they were made of, as far as these are still there. Answers how many were.
pub(crate) async fn reseal(session: &Session, blobs: &[Resealed]) -> Result<u64, StoreError> {
    let mut written = 0;
    for (number, place) in PLACES.iter().enumerate() {
        let here = blobs.iter().filter(|it| it.row.at.place == number);
        let values: Vec<Value> = here
            .flat_map(|Resealed { row, blob }| {
                let (old, new) = (row.blob.as_bytes().to_vec(), blob.as_bytes().to_vec());
                [row.at.row.into(), old.into(), new.into()]
            })
            .collect();
        if !values.is_empty() {
            written += session.run_of(place.reseal(values.len() / 3), values).await?;
        }
    }
    Ok(written)
}

impl Place {
    const fn of_grant(table: &'static str, blob: &'static str, name: &'static str) -> Self {
        Self { table, id: "workspace_connector_id", blob, purpose: Purpose::Grant, name }
    }

    /// All that is sealed there: identifier of the row, name of the activation, blob.
    pub(crate) fn all(&self) -> String {
        let Self { table, id, blob, name, .. } = self;
        format!("SELECT {id}, {name}, {blob} FROM {table} AS place WHERE {blob} IS NOT NULL")
    }

    /// What a blob of the row `id` is bound to.
    pub(crate) const fn context(&self, id: Uuid) -> SealContext {
        SealContext { purpose: self.purpose, row: id }
    }

    /// Which headers there are, and how often.
    fn census(&self) -> String {
        let Self { table, blob, .. } = self;
        let header = Sealed::HEADER_LEN;
        format!(
            "SELECT substr({blob}, 1, {header}), count(*) FROM {table} \
             WHERE {blob} IS NOT NULL GROUP BY substr({blob}, 1, {header})"
        )
    }

    /// Blobs with another header than `$1` in rows behind `$2`, no more than `$3`.
    fn sealed_otherwise(&self) -> String {
        let Self { table, id, blob, .. } = self;
        let header = Sealed::HEADER_LEN;
        format!(
            "SELECT pk, {id}, {blob} FROM {table} WHERE pk > $2 AND {blob} IS NOT NULL \
             AND substr({blob}, 1, {header}) <> $1 ORDER BY pk LIMIT $3"
        )
    }

    /// Of so many rows: key, blob as it was, blob that takes its place.
    fn reseal(&self, rows: usize) -> String {
        let Self { table, blob, .. } = self;
        let row = |at: usize| format!("(${}, ${}, ${})", 3 * at + 1, 3 * at + 2, 3 * at + 3);
        let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
        // Both databases call the columns of VALUES like that.
        format!(
            "UPDATE {table} SET {blob} = v.column3 FROM (VALUES {values}) AS v \
             WHERE {table}.pk = v.column1 AND {table}.{blob} = v.column2"
        )
    }

    fn row(&self, number: usize, row: &QueryResult) -> Result<SealedRow, sea_orm::DbErr> {
        Ok(SealedRow {
            at: SealedAt { place: number, row: row.try_get_by_index(0)? },
            place: self.table,
            context: self.context(row.try_get_by_index(1)?),
            blob: Sealed::from_bytes(row.try_get_by_index(2)?),
        })
    }
}

fn used(row: &QueryResult) -> Result<KeyUsage, StoreError> {
    let key: Vec<u8> = row.try_get_by_index(0).map_err(store_error)?;
    let key = key.try_into().map_err(|_| corrupt("the identifier of a key has another length"))?;
    let purpose: String = row.try_get_by_index(1).map_err(store_error)?;
    Ok(KeyUsage {
        key: KeyId::from_bytes(key),
        purpose: purpose.parse().map_err(corrupt)?,
        sealed: row.try_get_by_index(2).map(unsigned).map_err(store_error)?,
    })
}
