//! Whose turn it is to write: a small table beside those that runs push into.
//!
//! Whoever opens a target takes the turn, and every transaction makes sure that it still has it. So a worker that wakes
//! after its run was taken over writes nothing over what the next one wrote.

use linkspan_domain::StreamName;
use linkspan_sdk::{Failure, Push};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    error::unwritten,
    quoting::quoted,
    target::{Target, make_schema, run},
};

const TABLE: &str = "_linkspan_pushes";

/// The turn of a run at one stream.
pub(super) struct Turn {
    /// The table, for a statement.
    table: String,
    activation: Uuid,
    stream: String,
    run: Uuid,
    fence: i64,
}

impl Turn {
    /// Takes the turn, within the transaction at hand, once those of others are over.
    pub(super) async fn take(
        connection: &mut PgConnection,
        schema: &str,
        stream: &StreamName,
        push: &Push,
    ) -> Result<Self, Failure> {
        let turn = Self {
            table: format!("{}.{TABLE}", quoted(schema)),
            activation: push.activation.uuid(),
            stream: stream.to_string(),
            run: push.run.id.uuid(),
            fence: push.run.fence.0,
        };
        make_schema(connection, schema).await?;
        turn.make_table(connection).await?;
        run(connection, "set local lock_timeout to '60s'".to_owned()).await?;
        let table = &turn.table;
        let take = format!(
            "insert into {table} as held (activation, stream, run, fence) values ($1, $2, $3, $4) \
             on conflict (activation, stream) do update set run = excluded.run, fence = excluded.fence \
             where held.run <> excluded.run or held.fence <= excluded.fence"
        );
        turn.done(connection, take).await?;
        Ok(turn)
    }

    /// Makes sure that nobody else took it, and that nobody does before the transaction at hand is over.
    pub(super) async fn hold(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let hold = format!(
            "select from {} where activation = $1 and stream = $2 and run = $3 and fence = $4 for share",
            self.table
        );
        self.done(connection, hold).await
    }

    /// What tells `target` from a table of the same name that is made later.
    pub(super) async fn identify(
        &self,
        connection: &mut PgConnection,
        target: &Target,
    ) -> Result<String, Failure> {
        let identify = format!(
            "update {} set \
             target = case when relation = $3::text::regclass::oid::bigint then target else $4 end, \
             relation = $3::text::regclass::oid::bigint \
             where activation = $1 and stream = $2 returning target",
            self.table
        );
        let target: Uuid = sqlx::query_scalar(AssertSqlSafe(identify))
            .bind(self.activation)
            .bind(&self.stream)
            .bind(&target.table)
            .bind(Uuid::new_v4())
            .fetch_one(connection)
            .await
            .map_err(unwritten)?;
        Ok(target.to_string())
    }

    async fn done(&self, connection: &mut PgConnection, statement: String) -> Result<(), Failure> {
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(self.activation)
            .bind(&self.stream)
            .bind(self.run)
            .bind(self.fence)
            .execute(connection)
            .await
            .map_err(unwritten)?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(Failure::TakenOver) }
    }

    async fn make_table(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        // `if not exists` alone would ask for the right to make one even where it is there, and two at once would fail.
        run(connection, format!("select pg_advisory_xact_lock(hashtext('{TABLE}'))")).await?;
        let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
            .bind(&self.table)
            .fetch_one(&mut *connection)
            .await
            .map_err(unwritten)?;
        if is_there {
            return Ok(());
        }
        let make = format!(
            "create table {} (activation uuid, stream text, run uuid not null, fence bigint not null, \
             relation bigint, target uuid, primary key (activation, stream))",
            self.table
        );
        run(connection, make).await
    }
}
