//! How a load is opened and how writes of records end, on either database: the stream moves on, the feed gets its entry, the
//! run its counts.

use linkspan_domain::{Place, RunCounts, StreamMemory, StreamSource, SyncMode, ports::StoreError};
use linkspan_sdk::{Checkpoint, Finish, Held, HeldRun, Load, Opening};
use sea_orm::{ConnectionTrait, DbBackend};
use time::OffsetDateTime;

use super::{
    feed::{ADD_ENTRY, NEXT_ENTRY},
    forgetting::{prune, purge},
    parts,
    stream::{self, Advance, StreamRow, count_columns, memory_column},
};
use crate::{instant::microseconds, number::signed, session::Session};

/// Ends the opening of a load that writes `generation`.
pub(super) async fn open(
    session: Session,
    row: &StreamRow,
    opening: &Opening,
    generation: i32,
) -> Result<Load, StoreError> {
    let begin = vec![
        i64::from(row.pk).into(),
        row.generation.into(),
        row.last_generation.into(),
        row.loading.map(|it| it.0).into(),
        row.loading.map(|it| it.1).into(),
        row.cursor_column.clone().into(),
        row.cursor_after.clone().into(),
        row.loading_basis.clone().into(),
    ];
    session.run(stream::BEGIN, begin).await?;
    if opening.mode == SyncMode::Incremental {
        remember(&session, row, &opening.memory).await?;
    }
    if let Some(StreamSource { workspace_connector_id, stream }) = &opening.source {
        let values = vec![
            i64::from(row.pk).into(),
            workspace_connector_id.uuid().into(),
            stream.to_string().into(),
        ];
        session.run(stream::FOLLOW, values).await?;
    }
    let is_filled = session.row(stream::IS_FILLED, vec![row.pk.into()]).await?.is_some();
    count(&session, row, opening.run, &RunCounts::default(), opening.now).await?;
    session.commit().await?;
    Ok(Load {
        run: opening.run,
        activation: opening.activation,
        stream: opening.stream.clone(),
        mode: opening.mode,
        generation: i64::from(generation),
        held: if is_filled { Held::Anything } else { Held::Nothing },
    })
}

/// Ends a commit.
pub(super) async fn commit(
    session: Session,
    row: &StreamRow,
    checkpoint: &Checkpoint,
    advance: &Advance,
    counts: &RunCounts,
) -> Result<(), StoreError> {
    let values = vec![
        i64::from(row.pk).into(),
        checkpoint.mark.as_ref().map(ToString::to_string).into(),
        advance.appearing.into(),
        advance.loaded.into(),
        advance.generation.into(),
        advance.last_generation.into(),
    ];
    session.run(stream::ADVANCE, values).await?;
    if let Some(generation) = advance.published {
        publish(&session, row, generation, checkpoint.now).await?;
    }
    count(&session, row, checkpoint.load.run, counts, checkpoint.now).await?;
    session.commit().await
}

/// Ends a load: a full one, which buried so many records, lets readers see its `generation`.
pub(super) async fn finish(
    session: Session,
    row: &StreamRow,
    finish: &Finish,
    generation: i32,
    buried: u64,
) -> Result<u64, StoreError> {
    let pk = i64::from(row.pk);
    let (load, now) = (&finish.load, finish.now);
    match load.mode {
        SyncMode::Full => {
            let place = finish.memory.place.as_ref().map(|it| Place::as_str(it).to_owned());
            session.run(stream::LEAVE_PLACE, vec![pk.into(), place.into()]).await?;
            remember(&session, row, &finish.memory).await?;
            let swap = vec![
                pk.into(),
                generation.into(),
                signed(buried).into(),
                microseconds(now).into(),
                row.run_pk.into(),
            ];
            session.run(stream::SWAP, swap).await?;
            session.run(parts::FORGET, vec![row.run_pk.into(), pk.into()]).await?;
        }
        SyncMode::Incremental => {
            session.run(stream::END, vec![pk.into(), microseconds(now).into()]).await?;
        }
    }
    if finish.extent == SyncMode::Full {
        session.run(stream::RELEASE, vec![row.pk.into(), row.run_pk.into()]).await?;
    }
    if let Some(days) = finish.retention.tombstones {
        purge(&session, row, now - days.duration()).await?;
    }
    prune(&session, row, now).await?;
    if load.mode == SyncMode::Full {
        publish(&session, row, generation, now).await?;
    }
    let counts = RunCounts { deleted: buried, ..RunCounts::default() };
    count(&session, row, load.run, &counts, now).await?;
    session.commit().await?;
    Ok(buried)
}

/// Makes `generation` the next entry of the workspace's feed. Best late in a transaction: others wait for it.
async fn publish(
    session: &Session,
    row: &StreamRow,
    generation: i32,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let pk = i64::from(row.pk);
    session.run(NEXT_ENTRY, vec![pk.into()]).await?;
    let entry = vec![pk.into(), generation.into(), microseconds(now).into()];
    session.run(ADD_ENTRY, entry).await.map(drop)
}

/// Keeps what is to be remembered of a stream.
async fn remember(
    session: &Session,
    row: &StreamRow,
    memory: &StreamMemory,
) -> Result<(), StoreError> {
    let sql = match session.get_database_backend() {
        DbBackend::Postgres => stream::REMEMBER_POSTGRES,
        _ => stream::REMEMBER_SQLITE,
    };
    let values = vec![i64::from(row.pk).into(), memory_column(memory)?.into()];
    session.run(sql, values).await.map(drop)
}

async fn count(
    session: &Session,
    row: &StreamRow,
    run: HeldRun,
    counts: &RunCounts,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut values = vec![row.run_pk.into(), run.fence.0.into()];
    values.extend(count_columns(counts).map(Into::into));
    values.push(now.into());
    let counted = session.run(stream::COUNT, values).await?;
    if counted == 1 { Ok(()) } else { Err(StoreError::Stale) }
}
