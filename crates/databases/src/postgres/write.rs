//! Writing into a table.

use arrow_array::{Array, RecordBatch};
use linkspan_domain::{FieldKind, StreamSpec};
use linkspan_sdk::{Change, Failure, Intake, Push, WriteMode, WriteRequest};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, postgres::PgCopyIn};

use super::{
    column::Wire,
    encode::{self, Rows, Slot, unfit},
    error::{is_about_records, is_duplicate, unwritten},
    quoting::quoted,
    target::{Origin, Target, names, place, run},
    turn::Turn,
};

/// How much is sent at a time.
const PIECE: usize = 128 * 1024;

/// How long a write waits for others who hold the table.
const PATIENCE: &str = "60s";

/// Where changes wait for the statement that merges them into the table. It is gone with its transaction, which is all
/// that a pooler keeps together.
const INCOMING: &str = "linkspan_incoming";

/// Writes what comes out of `intake` as `request` says.
///
/// A table that is new is loaded straight, in one transaction, and gets its key when all is there. Into one that was
/// there before, each change is merged in a transaction of its own.
pub(crate) async fn write(
    pool: &PgPool,
    request: WriteRequest,
    intake: &mut Intake,
) -> Result<(), Failure> {
    let stream = request.stream.name.clone();
    write_all(pool, request, intake).await.map_err(|failure| match failure {
        Failure::Refused(why) => {
            Failure::Refused(format!("the stream `{stream}` cannot be written: {why}"))
        }
        other => other,
    })
}

async fn write_all(
    pool: &PgPool,
    request: WriteRequest,
    intake: &mut Intake,
) -> Result<(), Failure> {
    let mut connection = pool.acquire().await.map_err(unwritten)?;
    // A write that is given up leaves the server in the middle of taking: such a connection is of no use.
    connection.close_on_drop();
    let WriteRequest { stream, mode, push } = request;
    match mode {
        WriteMode::Replace | WriteMode::Append => {
            load(&mut connection, &stream, mode, intake).await
        }
        WriteMode::Upsert => match push {
            Some(by) => self::push(&mut connection, &stream, &by, intake).await,
            None => upsert(&mut connection, &stream, intake).await,
        },
        WriteMode::Journal => Err(Failure::Unsupported(format!("{mode} records"))),
    }
}

/// Takes everything in one transaction.
async fn load(
    connection: &mut PgConnection,
    stream: &StreamSpec,
    mode: WriteMode,
    intake: &mut Intake,
) -> Result<(), Failure> {
    begin(connection).await?;
    let target = Target::prepare(connection, stream).await?;
    if mode == WriteMode::Replace && target.origin == Origin::Found {
        run(connection, format!("truncate {}", target.table)).await?;
    }
    if copy_puts(connection, &target, intake).await?.is_some() {
        return Err(Failure::Unsupported(format!("remove records while it is to {mode}")));
    }
    if mode == WriteMode::Replace {
        add_key(connection, &target).await?;
    }
    commit(connection).await
}

/// Merges one change after another.
async fn upsert(
    connection: &mut PgConnection,
    stream: &StreamSpec,
    intake: &mut Intake,
) -> Result<(), Failure> {
    begin(connection).await?;
    let target = Target::prepare(connection, stream).await?;
    let mut next = None;
    if target.origin == Origin::Made {
        next = copy_puts(connection, &target, intake).await?;
        add_key(connection, &target).await?;
    }
    commit(connection).await?;
    if target.origin == Origin::Made && next.is_none() {
        return Ok(());
    }
    loop {
        let Some(change) = (match next.take() {
            Some(change) => Some(change),
            None => intake.next().await?,
        }) else {
            return Ok(());
        };
        begin(connection).await?;
        merge(connection, &target, &change).await?;
        commit(connection).await?;
        intake.confirm();
    }
}

/// Merges one change after another for a run, without the records that the table does not take.
///
/// The table has its key from the beginning: what is refused is told before the next change comes.
async fn push(
    connection: &mut PgConnection,
    stream: &StreamSpec,
    by: &Push,
    intake: &mut Intake,
) -> Result<(), Failure> {
    begin(connection).await?;
    let turn = Turn::take(connection, place(&stream.name)?.0, &stream.name, by).await?;
    let target = Target::prepare(connection, stream).await?;
    add_key(connection, &target).await?;
    let identity = turn.identify(connection, &target).await?;
    commit(connection).await?;
    intake.opened(identity);
    while let Some(change) = intake.next().await? {
        begin(connection).await?;
        turn.hold(connection).await?;
        let refused = merge_what_fits(connection, &target, &change).await?;
        commit(connection).await?;
        for (row, failure) in refused {
            intake.refuse(row, failure)?;
        }
        intake.confirm();
    }
    Ok(())
}

/// Merges a change, and answers the records that the table refuses.
async fn merge_what_fits(
    connection: &mut PgConnection,
    target: &Target,
    change: &Change,
) -> Result<Vec<(usize, Failure)>, Failure> {
    // Otherwise keys to other tables may be looked at with the commit only, when it is too late to tell who was it.
    run(connection, "set constraints all immediate".to_owned()).await?;
    let mut refused = Vec::new();
    let all = 0..change.records().num_rows();
    let mut todo = vec![all];
    while let Some(rows) = todo.pop() {
        let records = change.records().slice(rows.start, rows.len());
        let part = match change {
            Change::Put(_) => Change::Put(records),
            Change::Remove(_) => Change::Remove(records),
        };
        run(connection, "savepoint part".to_owned()).await?;
        match merge(connection, target, &part).await {
            Ok(()) => run(connection, format!("drop table {INCOMING}; release part")).await?,
            Err(failure) if is_about_records(&failure) => {
                run(connection, "rollback to part; release part".to_owned()).await?;
                // The statement fails as a whole: halve it until the culprit is alone.
                if rows.len() == 1 {
                    refused.push((rows.start, failure));
                } else {
                    let middle = rows.start.midpoint(rows.end);
                    todo.extend([middle..rows.end, rows.start..middle]);
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(refused)
}

async fn begin(connection: &mut PgConnection) -> Result<(), Failure> {
    // What holds the table may wait for this write, such as a read that is to go into it: the server sees no circle there.
    let settings = format!("set local timezone to 'UTC'; set local lock_timeout to '{PATIENCE}'");
    run(connection, format!("begin; {settings}")).await
}

async fn commit(connection: &mut PgConnection) -> Result<(), Failure> {
    run(connection, "commit".to_owned()).await
}

/// Copies records straight into the table, up to the first change that is something else.
async fn copy_puts(
    connection: &mut PgConnection,
    target: &Target,
    intake: &mut Intake,
) -> Result<Option<Change>, Failure> {
    // Rows of a table that nobody else can see yet need no looking after later.
    let options = match target.origin {
        Origin::Made => "format binary, freeze",
        Origin::Found => "format binary",
    };
    let mut copy = Copy::begin(connection, &target.table, &target.slots, options).await?;
    let next = loop {
        match intake.next().await? {
            Some(Change::Put(records)) => copy.put(&records).await?,
            other => break other,
        }
    };
    copy.finish().await?;
    Ok(next)
}

/// Gives a new table its primary key; of records with the same one, the last stays.
async fn add_key(connection: &mut PgConnection, target: &Target) -> Result<(), Failure> {
    if target.origin == Origin::Found || target.key.is_empty() {
        return Ok(());
    }
    let (table, key) = (&target.table, names(target.key.iter()));
    let add = format!("alter table {table} add primary key ({key})");
    run(connection, "savepoint loaded".to_owned()).await?;
    let added = sqlx::raw_sql(AssertSqlSafe(add.clone())).execute(&mut *connection).await;
    match added {
        Ok(_) => return Ok(()),
        Err(error) if is_duplicate(&error) => {}
        Err(error) => return Err(unwritten(error)),
    }
    run(connection, "rollback to loaded".to_owned()).await?;
    let repeated = format!(
        "delete from {table} as held using (
           select ctid, row_number() over (partition by {key} order by ctid desc) as place from {table}
         ) as placed where held.ctid = placed.ctid and placed.place > 1"
    );
    run(connection, repeated).await?;
    run(connection, add).await
}

/// Merges one change into the table.
async fn merge(
    connection: &mut PgConnection,
    target: &Target,
    change: &Change,
) -> Result<(), Failure> {
    let (slots, statement) = match change {
        Change::Put(_) => (target.slots.clone(), put_statement(target)),
        Change::Remove(_) => (target.key_slots(), remove_statement(target)),
    };
    let columns = names(slots.iter().map(|it| &it.name));
    let make = format!(
        "create temporary table {INCOMING} on commit drop as select {columns} from {} with no data",
        target.table
    );
    run(connection, make).await?;
    let records = change.records();
    keys_are_there(&slots, records, &target.key)?;
    let mut copy = Copy::begin(connection, INCOMING, &slots, "format binary").await?;
    match copy.put(records).await {
        Ok(()) => copy.finish().await?,
        Err(failure) => return Err(copy.give_up(failure).await),
    }
    run(connection, statement).await
}

/// Passes if every record has a key.
fn keys_are_there(slots: &[Slot], records: &RecordBatch, key: &[String]) -> Result<(), Failure> {
    for (slot, column) in slots.iter().zip(records.columns()) {
        if key.contains(&slot.name) && column.null_count() > 0 {
            let reason = "belongs to the primary key, but a record has no value there";
            return Err(unfit(&slot.name, reason));
        }
    }
    Ok(())
}

/// Inserts what is new and updates what changed; of records with the same key, the last counts.
fn put_statement(target: &Target) -> String {
    let Target { table, key, .. } = target;
    let (columns, key_columns) = (target.columns(), names(key.iter()));
    let rest: Vec<_> = target.slots.iter().filter(|it| !key.contains(&it.name)).collect();
    let action = if rest.is_empty() {
        "nothing".to_owned()
    } else {
        let set = |it: &&Slot| format!("{0} = excluded.{0}", quoted(&it.name));
        let set: Vec<_> = rest.iter().map(set).collect();
        let side = |side: &str| {
            let one = |it: &&Slot| compared(side, it);
            rest.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let (held, new) = (side("held"), side("excluded"));
        format!("update set {} where ({held}) is distinct from ({new})", set.join(", "))
    };
    // Rows of a table that only ever grew lie in the order in which they came.
    format!(
        "insert into {table} as held ({columns}) select distinct on ({key_columns}) {columns} from {INCOMING} \
         order by {key_columns}, ctid desc on conflict ({key_columns}) do {action}"
    )
}

/// A column as it is compared: `json` has no equality.
fn compared(side: &str, slot: &Slot) -> String {
    let name = quoted(&slot.name);
    match (slot.kind, slot.wire) {
        (FieldKind::Json, Wire::Text) => format!("{side}.{name}::text"),
        _ => format!("{side}.{name}"),
    }
}

fn remove_statement(target: &Target) -> String {
    let same = |it: &String| format!("held.{0} = gone.{0}", quoted(it));
    let same: Vec<_> = target.key.iter().map(same).collect();
    let (table, same) = (&target.table, same.join(" and "));
    format!("delete from {table} as held using {INCOMING} as gone where {same}")
}

/// Rows on their way into a table.
struct Copy<'c> {
    stream: PgCopyIn<&'c mut PgConnection>,
    slots: &'c [Slot],
    piece: Vec<u8>,
}

impl<'c> Copy<'c> {
    async fn begin(
        connection: &'c mut PgConnection,
        table: &str,
        slots: &'c [Slot],
        options: &str,
    ) -> Result<Self, Failure> {
        let columns = names(slots.iter().map(|it| &it.name));
        let statement = format!("copy {table} ({columns}) from stdin ({options})");
        let stream = connection.copy_in_raw(&statement).await.map_err(unwritten)?;
        let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
        encode::begin(&mut piece);
        Ok(Self { stream, slots, piece })
    }

    async fn put(&mut self, records: &RecordBatch) -> Result<(), Failure> {
        let mut rows = Rows::of(records, self.slots)?;
        let mut at = 0;
        while let Some(next) = rows.append(at, PIECE, &mut self.piece)? {
            at = next;
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.send(&self.piece[..]).await.map_err(unwritten)?;
        self.piece.clear();
        Ok(())
    }

    /// Takes back what was sent, so that the connection is of use again.
    async fn give_up(self, failure: Failure) -> Failure {
        match self.stream.abort("a record does not fit").await {
            Ok(()) => failure,
            Err(error) => unwritten(error),
        }
    }

    async fn finish(mut self) -> Result<(), Failure> {
        encode::end(&mut self.piece);
        self.flush().await?;
        self.stream.finish().await.map(drop).map_err(unwritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_updated() {
        let slot = |name: &str, kind, wire| Slot { name: name.to_owned(), kind, wire };
        let target = Target {
            table: "\"s\".\"t\"".to_owned(),
            slots: vec![
                slot("id", FieldKind::Integer, Wire::Int8),
                slot("a\"b", FieldKind::Json, Wire::Text),
            ],
            key: vec!["id".to_owned()],
            origin: Origin::Found,
        };
        assert_eq!(
            put_statement(&target),
            "insert into \"s\".\"t\" as held (\"id\", \"a\"\"b\") select distinct on (\"id\") \"id\", \"a\"\"b\" \
             from linkspan_incoming order by \"id\", ctid desc on conflict (\"id\") do update set \
             \"a\"\"b\" = excluded.\"a\"\"b\" where (held.\"a\"\"b\"::text) is distinct from (excluded.\"a\"\"b\"::text)"
        );
        assert_eq!(
            remove_statement(&target),
            "delete from \"s\".\"t\" as held using linkspan_incoming as gone where held.\"id\" = gone.\"id\""
        );
    }
}
