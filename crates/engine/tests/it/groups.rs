//! Groups of records, such as those of one file, that are read whole.

use std::sync::Arc;

use futures_util::FutureExt;
use linkspan_domain::{Cursor, Deleted, StreamSpec, SyncMode};
use linkspan_sdk::{Batch, BatchSink, Definition, Failure, GroupEnd, ReadMode, ReadRequest};

use crate::{
    bench::{Bench, for_both},
    made_up::{Item, batch, definition, spec},
};

/// A file: its name, when it was written, and how many records it has.
type File = (&'static str, i64, i64);

/// A source of files that names records by the name of their file and their number in it.
fn source(files: &'static [File]) -> Definition {
    let read = move |request: ReadRequest, mut out: BatchSink| {
        async move { send(files, &request, &mut out).await }.boxed()
    };
    let primary_key = vec!["text".to_owned(), "id".to_owned()];
    let discover =
        move || Ok(vec![StreamSpec { primary_key: primary_key.clone(), ..spec("items") }]);
    definition(Arc::new(discover), Arc::new(read))
}

async fn send(files: &[File], request: &ReadRequest, out: &mut BatchSink) -> Result<(), Failure> {
    let after = match &request.mode {
        ReadMode::Full => None,
        ReadMode::Incremental { after, .. } => after.as_ref().map(ToString::to_string),
    };
    let after = after.map(|it| it.parse::<i64>().unwrap());
    for (name, at, count) in files.iter().filter(|it| Some(it.1) >= after) {
        let items: Vec<_> = (1..=*count).map(|it| Item::new(it, Some(*at), name)).collect();
        for part in items.chunks(4) {
            out.send(Batch::new(batch(part), Some(Cursor::Int(*at)))).await?;
        }
        let ends = vec![GroupEnd { group: (*name).to_owned(), last: *count }];
        out.send(Batch { ends, ..Batch::new(batch(&[]), Some(Cursor::Int(*at))) }).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_file_has_no_more_goes_when_it_is_read_again() {
    for_both(|url| async move {
        let bench = Bench::new(&url, source(&[("a\"", 1, 3), ("b", 1, 25), ("bb", 1, 30)])).await;
        let live = async || bench.records("items", Deleted::Hidden).await.len();
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.written, 58);
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.deleted, 0);

        bench.serve(source(&[("a\"", 1, 3), ("bb", 1, 30), ("b", 2, 9)]));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.deleted), (9, 16));
        assert_eq!(live().await, 42);
        assert_eq!(bench.records("items", Deleted::Shown).await.len(), 58, "tombstones tell of it");

        bench.serve(source(&[("bb", 1, 30), ("b", 2, 9), ("a\"", 3, 0)]));
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.deleted, 3);
        assert_eq!(bench.sync(SyncMode::Incremental).await.counts.deleted, 0);
        assert_eq!(live().await, 39);

        bench.serve(source(&[("b", 4, 11)]));
        let counts = bench.sync(SyncMode::Incremental).await.counts;
        assert_eq!((counts.written, counts.deleted), (11, 0), "a file that grows loses nothing");
        assert_eq!(live().await, 41, "of what is not read again, nothing is said");
    })
    .await;
}
