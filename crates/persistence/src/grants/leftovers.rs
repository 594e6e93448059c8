//! What activations that are gone left behind with providers.

use linkspan_domain::{
    ConnectorId, Issuer, OrganizationId, Receipt, WorkspaceConnectorId, WorkspaceId,
    ports::{Left, Leftover, LeftoverId, Leftovers, Owner, Sealed, StoreError},
};
use sea_orm::{QueryResult, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{authorizations::FORGET_ANSWERS, get};
use crate::{
    Database, error::corrupt, instant::microseconds, receipt, session::Session, store::stale_unless,
};

/// What is purged, and its activations with it.
#[derive(Clone, Copy)]
pub(crate) enum Purged {
    Activation(WorkspaceConnectorId),
    Connector(ConnectorId),
    Workspace(WorkspaceId),
}

impl Purged {
    /// Holds of an activation `w` that goes.
    const fn condition(self) -> &'static str {
        match self {
            Self::Activation(_) => "w.workspace_connector_id = $1",
            Self::Connector(_) => {
                "w.connector_pk = (SELECT pk FROM connectors WHERE connector_id = $1)"
            }
            Self::Workspace(_) => {
                "w.workspace_pk = (SELECT pk FROM workspaces WHERE workspace_id = $1)"
            }
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Activation(id) => id.uuid().into(),
            Self::Connector(id) => id.uuid().into(),
            Self::Workspace(id) => id.uuid().into(),
        }
    }
}

/// Leaves all behind that the activations that go have with providers.
pub(crate) async fn leave(session: &Session, purged: Purged) -> Result<(), StoreError> {
    lock(session, purged).await?;
    for leaving in [&ANSWERS, &GRANTS, &CLIENTS] {
        session.run_of(left(leaving, purged.condition()), vec![purged.value()]).await?;
    }
    Ok(())
}

/// Tables whose rows go with an activation, in the order of [`PLACES`](crate::keys::PLACES): the table, a column of it, and
/// what names the activation there and in its own table.
const GOING: [(&str, &str, [&str; 2]); 5] = [
    ("workspace_connectors", "revision", ["pk", "pk"]),
    ("credential_versions", "revision", ["workspace_connector_pk", "pk"]),
    ("oauth_grants", "fence", ["workspace_connector_id"; 2]),
    ("authorizations", "taken_at", ["workspace_connector_id"; 2]),
    ("oauth_clients", "issuer", ["workspace_connector_id"; 2]),
];

/// Waits for whoever is about to write the rows that go. Others change nothing afterwards, as long as this session takes them
/// away from where they were.
async fn lock(session: &Session, purged: Purged) -> Result<(), StoreError> {
    let gone = purged.condition();
    for (table, same, [of, named]) in GOING {
        let lock = format!(
            "UPDATE {table} SET {same} = {same} \
             WHERE {of} IN (SELECT w.{named} FROM workspace_connectors w WHERE {gone})"
        );
        session.run_of(lock, vec![purged.value()]).await?;
    }
    Ok(())
}

/// Rows of a table `g` that are left behind: which, and what of them goes where.
struct Leaving {
    table: &'static str,
    condition: &'static str,
    from: &'static str,
    to: &'static str,
}

const GRANTS: Leaving = Leaving {
    table: "oauth_grants",
    condition: "1 = 1",
    from: "g.issuer, g.held, g.previous, g.reply",
    to: "issuer, held, previous, reply",
};

const ANSWERS: Leaving = Leaving {
    table: "authorizations",
    condition: "g.taken_at IS NOT NULL AND g.content IS NOT NULL",
    from: "g.authorization_id, g.content",
    to: "authorization_id, answer",
};

const CLIENTS: Leaving = Leaving {
    table: "oauth_clients",
    condition: "1 = 1",
    from: "g.issuer, g.oauth_client_id, g.client",
    to: "issuer, oauth_client_id, client",
};

/// Client, from when on it is taken up.
const REPLACED: Leaving = Leaving {
    condition: "g.client = $2",
    from: "g.issuer, g.oauth_client_id, g.client, CAST($3 AS bigint)",
    to: "issuer, oauth_client_id, client, again_at",
    ..CLIENTS
};

/// Leaves `client` behind, which is in `row` as long as this session does not replace it, to be taken up `from` then on.
pub(super) async fn leave_client(
    session: &Session,
    row: Uuid,
    client: &Sealed,
    from: OffsetDateTime,
) -> Result<(), StoreError> {
    let values = vec![row.into(), client.as_bytes().into(), microseconds(from).into()];
    session.run_of(left(&REPLACED, "g.oauth_client_id = $1"), values).await.map(|_| ())
}

/// Copies what is left of the activations that are `gone`.
fn left(Leaving { table, condition, from, to }: &Leaving, gone: &str) -> String {
    format!(
        "INSERT INTO oauth_leftovers \
            (workspace_connector_id, workspace_id, organization_id, name, {to}) \
         SELECT w.workspace_connector_id, k.workspace_id, o.organization_id, w.name, {from} \
         FROM {table} g \
         JOIN workspace_connectors w ON w.workspace_connector_id = g.workspace_connector_id \
         JOIN workspaces k ON k.pk = w.workspace_pk \
         JOIN organizations o ON o.pk = k.organization_pk \
         WHERE {condition} AND {gone}"
    )
}

/// How many.
pub(super) const ABANDONED: &str = "\
    SELECT g.workspace_connector_id FROM oauth_grants g \
    JOIN workspace_connectors w ON w.workspace_connector_id = g.workspace_connector_id \
    WHERE w.deleted_at IS NOT NULL \
    UNION \
    SELECT a.workspace_connector_id FROM authorizations a \
    JOIN workspace_connectors w ON w.workspace_connector_id = a.workspace_connector_id \
    WHERE w.deleted_at IS NOT NULL AND a.taken_at IS NOT NULL AND a.content IS NOT NULL \
    LIMIT $1";

/// Of an activation that stays deleted until the session ends.
const LOCK_GONE: &str = "\
    UPDATE workspace_connectors SET revision = revision \
    WHERE workspace_connector_id = $1 AND deleted_at IS NOT NULL";

const REMOVE: &str = "DELETE FROM oauth_grants WHERE workspace_connector_id = $1";

/// What a grant could do is gone with it.
const FORGET_CAPABILITIES: &str = "\
    UPDATE workspace_connectors SET installed_capabilities = NULL, revision = revision + 1 \
    WHERE workspace_connector_id = $1 AND installed_capabilities IS NOT NULL";

/// Leaves the grant of a deleted activation behind, and what exchanges for it brought.
pub(super) async fn set_aside(db: &Database, of: WorkspaceConnectorId) -> Result<(), StoreError> {
    let session = db.write().await?;
    // It may have been restored since it was looked up.
    if session.run(LOCK_GONE, vec![of.uuid().into()]).await? == 0 {
        return Ok(());
    }
    let gone = Purged::Activation(of);
    lock(&session, gone).await?;
    for leaving in [&ANSWERS, &GRANTS] {
        session.run_of(left(leaving, gone.condition()), vec![gone.value()]).await?;
    }
    if session.run(REMOVE, vec![of.uuid().into()]).await? > 0 {
        session.run(FORGET_CAPABILITIES, vec![of.uuid().into()]).await?;
    }
    session.run(FORGET_ANSWERS, vec![of.uuid().into()]).await?;
    session.commit().await
}

/// Identifier of the authorization.
const LEAVE_ANSWER: &str = "\
    INSERT INTO oauth_leftovers \
        (workspace_connector_id, workspace_id, organization_id, name, authorization_id, answer) \
    SELECT w.workspace_connector_id, k.workspace_id, o.organization_id, w.name, \
        a.authorization_id, a.content \
    FROM authorizations a \
    JOIN workspace_connectors w ON w.workspace_connector_id = a.workspace_connector_id \
    JOIN workspaces k ON k.pk = w.workspace_pk \
    JOIN organizations o ON o.pk = k.organization_pk \
    WHERE a.authorization_id = $1 AND a.taken_at IS NOT NULL AND a.content IS NOT NULL";

/// Leaves behind what the exchange of `authorization` brought, which this session takes away from there.
pub(super) async fn leave_answer(session: &Session, authorization: Uuid) -> Result<(), StoreError> {
    session.run(LEAVE_ANSWER, vec![authorization.into()]).await.map(|_| ())
}

/// Activation, workspace, organization, what to call an activation that is purged, issuer, grant.
const KEEP: &str = "\
    INSERT INTO oauth_leftovers \
        (workspace_connector_id, workspace_id, organization_id, name, issuer, held) \
    VALUES ($1, $2, $3, COALESCE( \
        (SELECT w.name FROM workspace_connectors w WHERE w.workspace_connector_id = $1), $4), \
        $5, $6)";

/// Leaves a grant behind that no activation has.
pub(super) async fn keep(
    db: &Database,
    owner: &Owner,
    issuer: &Issuer,
    grant: &Sealed,
) -> Result<(), StoreError> {
    let session = db.write().await?;
    let values = vec![
        owner.workspace_connector_id.uuid().into(),
        owner.workspace_id.uuid().into(),
        owner.organization_id.uuid().into(),
        owner.workspace_connector_id.to_string().into(),
        issuer.as_str().into(),
        grant.as_bytes().into(),
    ];
    session.run(KEEP, values).await?;
    session.commit().await
}

/// Now, until when. All that is due of one activation, or nothing: as long as somebody has its grant, its client is needed.
const TAKE: &str = "\
    UPDATE oauth_leftovers SET again_at = $2, tries = tries + 1 \
    WHERE workspace_connector_id = \
        (SELECT due.workspace_connector_id FROM oauth_leftovers due \
         WHERE due.again_at <= $1 AND NOT EXISTS \
            (SELECT 1 FROM oauth_leftovers held \
             WHERE held.workspace_connector_id = due.workspace_connector_id \
                AND held.again_at > $1 AND held.tries > 0) \
         ORDER BY due.again_at, due.pk LIMIT 1) AND again_at <= $1 \
    RETURNING pk, workspace_connector_id, workspace_id, organization_id, issuer, held, previous, \
        reply, authorization_id, answer, client, tries";

/// What one activation left. Of several who take the same, the others get nothing this time.
pub(super) async fn take(
    db: &Database,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Option<Leftovers>, StoreError> {
    let session = db.write().await?;
    let rows = session.rows(TAKE, vec![microseconds(now).into(), microseconds(until).into()]);
    let rows = rows.await?;
    session.commit().await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let of = get(first, "workspace_connector_id")?;
    let owner = Owner {
        workspace_connector_id: WorkspaceConnectorId::from_uuid(of),
        workspace_id: WorkspaceId::from_uuid(get(first, "workspace_id")?),
        organization_id: OrganizationId::from_uuid(get(first, "organization_id")?),
    };
    let mut left = Leftovers { owner, things: Vec::with_capacity(rows.len()) };
    for row in &rows {
        left.things.push(thing(row)?);
    }
    left.things.sort_by_key(|it| (turn(&it.left), it.id));
    Ok(Some(left))
}

fn thing(row: &QueryResult) -> Result<Leftover, StoreError> {
    let issuer = || get(row, "issuer").map(Issuer::new);
    let left = match (sealed(row, "answer")?, sealed(row, "held")?, sealed(row, "client")?) {
        (Some(grant), ..) => {
            Left::Answer { authorization_id: get(row, "authorization_id")?, grant }
        }
        (_, Some(held), _) => {
            let (previous, reply) = (sealed(row, "previous")?, sealed(row, "reply")?);
            Left::Grant { issuer: issuer()?, held, previous, reply }
        }
        (.., Some(client)) => Left::Client { issuer: issuer()?, client },
        _ => return Err(corrupt("nothing was left")),
    };
    let tries = u32::try_from(get::<i64>(row, "tries")?).map_err(corrupt)?;
    Ok(Leftover { id: LeftoverId(get(row, "pk")?), tries, left })
}

fn sealed(row: &QueryResult, name: &str) -> Result<Option<Sealed>, StoreError> {
    Ok(get::<Option<_>>(row, name)?.map(Sealed::from_bytes))
}

/// In which order providers are told.
const fn turn(left: &Left) -> u8 {
    match left {
        Left::Answer { .. } => 0,
        Left::Grant { .. } => 1,
        Left::Client { .. } => 2,
    }
}

/// Which, from when on.
const PUT_BACK: &str = "UPDATE oauth_leftovers SET again_at = $2, tries = 0 WHERE pk = $1";

/// Has one thing be as if it had never been taken.
pub(super) async fn put_back(
    db: &Database,
    LeftoverId(pk): LeftoverId,
    from: OffsetDateTime,
) -> Result<(), StoreError> {
    let session = db.write().await?;
    stale_unless(session.run(PUT_BACK, vec![pk.into(), microseconds(from).into()]).await?)?;
    session.commit().await
}

const FORGET: &str = "DELETE FROM oauth_leftovers WHERE pk = $1";

/// Forgets one thing that was left.
pub(super) async fn forget(
    db: &Database,
    LeftoverId(pk): LeftoverId,
    receipt: Option<&Receipt>,
) -> Result<(), StoreError> {
    let session = db.write().await?;
    stale_unless(session.run(FORGET, vec![pk.into()]).await?)?;
    if let Some(receipt) = receipt {
        receipt::keep(&session, receipt).await?;
    }
    session.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PLACES;

    #[test]
    fn what_goes_is_taken_in_the_order_in_which_it_is_sealed_anew() {
        let mut tables = PLACES.iter().map(|it| it.table).collect::<Vec<_>>();
        tables.dedup();
        // What was left before stands behind all that goes.
        assert_eq!(tables.pop(), Some("oauth_leftovers"));
        assert_eq!(tables, GOING.map(|(table, ..)| table));
    }
}
