//! What makes a Rust type move, with the type erased.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::FutureExt;
use serde_json::Value;

use super::{CheckRunner, CommandRunner, Runners, SinkRunners, SourceRunners, accepted};
use crate::{ConnectorType, Cx, Environment, Failure, SinkEntry, SourceEntry};

/// The runners of `T`, of which `source` and `sink` are the halves.
pub(super) fn of<T: ConnectorType>(
    source: Option<SourceEntry<T>>,
    sink: Option<SinkEntry<T>>,
) -> Runners {
    let opener = Opener::<T>(Arc::default());
    Runners {
        check: check(opener.clone()),
        source: source.map(|it| of_source(&it, &opener)),
        sink: sink.map(|it| of_sink(&it, &opener)),
        commands: commands(&opener),
    }
}

/// Opens contexts of `T`, all of which share what it shares.
struct Opener<T: ConnectorType>(Arc<T::Shared>);

impl<T: ConnectorType> Clone for Opener<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ConnectorType> Opener<T> {
    fn open(&self, settings: Value, environment: Environment) -> Result<Cx<T>, Failure> {
        let cx = Cx::open(accepted::<T>, settings, environment, Arc::clone(&self.0))?;
        T::accept_flow(&cx.settings, cx.flow)?;
        Ok(cx)
    }
}

fn check<T: ConnectorType>(opener: Opener<T>) -> CheckRunner {
    Arc::new(move |settings, environment| {
        let cx = opener.open(settings, environment);
        async move { T::check(&cx?).await }.boxed()
    })
}

fn of_source<T: ConnectorType>(entry: &SourceEntry<T>, opener: &Opener<T>) -> SourceRunners {
    let SourceEntry { discover, read, push_down, split } = *entry;
    let [discovering, reading, filtering, splitting] = [(); 4].map(|()| opener.clone());
    SourceRunners {
        discover: Arc::new(move |settings, environment| {
            let cx = discovering.open(settings, environment);
            async move { discover(&cx?).await }.boxed()
        }),
        read: Arc::new(move |settings, request, environment, mut sink| {
            let cx = reading.open(settings, environment);
            async move { read(&cx?, request, &mut sink).await }.boxed()
        }),
        push_down: Some(Arc::new(move |settings, stream, parts, environment| {
            let cx = filtering.open(settings, environment);
            async move { push_down(&cx?, &stream, &parts).await }.boxed()
        })),
        split: Some(Arc::new(move |settings, stream, parts, environment| {
            let cx = splitting.open(settings, environment);
            async move { split(&cx?, &stream, parts).await }.boxed()
        })),
    }
}

fn of_sink<T: ConnectorType>(entry: &SinkEntry<T>, opener: &Opener<T>) -> SinkRunners {
    let SinkEntry { modes, write, read_as, accepts } = *entry;
    let opener = opener.clone();
    SinkRunners {
        modes: modes.to_vec(),
        read_as,
        accepts,
        write: Arc::new(move |settings, request, environment, mut intake| {
            let cx = opener.open(settings, environment);
            async move { write(&cx?, request, &mut intake).await }.boxed()
        }),
    }
}

fn commands<T: ConnectorType>(opener: &Opener<T>) -> BTreeMap<String, CommandRunner> {
    let commands = T::commands().into_iter().map(|entry| {
        let opener = opener.clone();
        let run: CommandRunner = Arc::new(move |settings, parameters, environment| {
            let (cx, run) = (opener.open(settings, environment), entry.run);
            async move { run(&cx?, parameters).await }.boxed()
        });
        (entry.manifest.name, run)
    });
    commands.collect()
}
