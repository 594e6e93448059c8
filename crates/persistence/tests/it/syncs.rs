//! Runs: one at a time, held by one worker, and what their ends mean.

use linkspan_domain::{
    ConnectorFilter, Event, Failures, FilterScope, ListQuery, RunCounts, RunEnd, RunOutcome,
    RunStatus, Status, StreamSettings, StreamState, SyncMode, Within, WorkspaceConnector,
    ports::{Change, ChangeAtRest, Demand, StoreError},
};
use linkspan_sdk::HeldRun;
use linkspan_testkit::fixtures::{Specimen, receipt, receipts};
use time::Duration;

use crate::{
    activation::{Bench, LEASE, end_of, rows},
    place::keep,
    scratch::on_both,
};

on_both! {
    one_run_of_an_activation_is_active
    an_activation_that_may_not_run_does_not
    a_run_is_claimed_by_one_worker_at_a_time
    a_silent_workers_run_is_taken_over
    a_run_that_is_given_back_is_free_at_once
    crashes_count_until_a_checkpoint
    a_queue_hands_out_what_the_store_has
    a_run_can_be_stopped
    a_paused_activation_does_not_want_its_run
    the_end_of_a_run_moves_the_activation
    the_end_of_a_run_is_in_the_audit_trail
    another_filter_lets_those_try_again_that_failed_for_theirs
    a_filter_that_asks_the_same_as_before_moves_nothing
    failures_count_until_a_success
    a_mark_is_moved_unless_a_run_can_be_in_the_way
    a_purged_activation_takes_runs_and_records_along
    runs_are_listed
}

async fn one_run_of_an_activation_is_active(url: &str) {
    let bench = Bench::new(url).await;
    let (first, started) = bench.next_run(SyncMode::Full);
    bench.syncs.start(&first, &started).await.unwrap();
    assert_eq!(bench.status().await, Status::Processing);
    assert_eq!(bench.log(first.id).await, first);

    let (second, receipt) = bench.next_run(SyncMode::Full);
    let refused = bench.syncs.start(&second, &receipt).await;
    assert!(matches!(refused, Err(StoreError::Taken)), "{refused:?}");
    assert_eq!(bench.syncs.find(&bench.visible(), second.id).await.unwrap(), None);

    let held = bench.take(first.id, first.created_at).await;
    bench.end(held, RunEnd::Clean).await.unwrap();
    bench.syncs.start(&second, &receipt).await.unwrap();

    // Of many that start at once, one wins.
    let held = bench.take(second.id, second.created_at).await;
    bench.end(held, RunEnd::Clean).await.unwrap();
    let runs: Vec<_> = (0..8).map(|_| bench.next_run(SyncMode::Full)).collect();
    let starts = runs.iter().map(|(run, receipt)| bench.syncs.start(run, receipt));
    let started = futures_util::future::join_all(starts).await;
    assert_eq!(started.iter().filter(|it| it.is_ok()).count(), 1, "{started:?}");
    let lost = started.iter().filter(|it| matches!(it, Err(StoreError::Taken))).count();
    assert_eq!(lost, 7, "{started:?}");
}

async fn an_activation_that_may_not_run_does_not(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.workspace_connectors();
    let mut activation = bench.stored().await;
    activation.apply(Event::Suspended).unwrap();
    store.write(&[Change::Update(activation)], &receipt(1, None)).await.unwrap();
    let (run, receipt) = bench.next_run(SyncMode::Full);
    let refused = bench.syncs.start(&run, &receipt).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!(bench.status().await, Status::Suspended);

    let deleted = WorkspaceConnector {
        status: Status::Enabled,
        deleted_at: Some(Bench::at(1)),
        ..bench.stored().await
    };
    let again = linkspan_testkit::fixtures::receipt(2, None);
    store.write(&[Change::Update(deleted)], &again).await.unwrap();
    let refused = bench.syncs.start(&run, &receipt).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
}

async fn a_run_is_claimed_by_one_worker_at_a_time(url: &str) {
    let bench = Bench::new(url).await;
    let now = Bench::at(50);
    assert_eq!(bench.syncs.claim("a", None, now, now + LEASE).await.unwrap(), None);
    let (run, receipt) = bench.next_run(SyncMode::Full);
    bench.syncs.start(&run, &receipt).await.unwrap();
    let claims = ["a", "b", "c", "d"].map(|it| bench.syncs.claim(it, None, now, now + LEASE));
    let claimed = futures_util::future::join_all(claims).await;
    let claimed: Vec<_> = claimed.into_iter().filter_map(Result::unwrap).collect();
    let [claimed] = &claimed[..] else { panic!("{claimed:?}") };
    assert_eq!((claimed.id, claimed.status), (run.id, RunStatus::InProgress));
    assert_eq!(claimed.started_at, Some(now));
    assert_eq!(claimed.lease.as_ref().unwrap().until, now + LEASE);
    assert_eq!(claimed.fence.0, 1);
    assert_eq!(*claimed, bench.log(run.id).await);
}

async fn a_silent_workers_run_is_taken_over(url: &str) {
    let bench = Bench::new(url).await;
    let (run, receipt) = bench.next_run(SyncMode::Full);
    bench.syncs.start(&run, &receipt).await.unwrap();
    let now = run.created_at;
    let first = bench.take(run.id, now).await;
    let early = now + LEASE - Duration::MICROSECOND;
    assert_eq!(bench.syncs.claim("b", None, early, early + LEASE).await.unwrap(), None);

    bench.syncs.extend(first.id, first.fence, now + LEASE * 2).await.unwrap();
    assert_eq!(bench.syncs.claim("b", None, now + LEASE, now + LEASE * 3).await.unwrap(), None);
    let second = bench.take(run.id, now + LEASE * 2).await;
    assert!(second.fence > first.fence);
    assert_eq!(bench.log(run.id).await.started_at, Some(now));

    let stale = bench.syncs.extend(first.id, first.fence, now + LEASE * 9).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    let stale = bench.end(first, RunEnd::Clean).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    assert_eq!(bench.status().await, Status::Processing);
    bench.end(second, RunEnd::Clean).await.unwrap();
    let over = bench.end(second, RunEnd::Clean).await;
    assert!(matches!(over, Err(StoreError::Stale)), "{over:?}");
}

async fn a_run_that_is_given_back_is_free_at_once(url: &str) {
    let bench = Bench::new(url).await;
    let first = bench.begin(SyncMode::Full).await;
    let now = Bench::at(9);
    bench.syncs.release(first.id, first.fence).await.unwrap();
    let waiting = bench.log(first.id).await;
    assert_eq!((waiting.status, waiting.lease), (RunStatus::Scheduled, None));
    let stale = bench.syncs.extend(first.id, first.fence, now).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    let second = bench.take(first.id, now).await;
    assert!(second.fence > first.fence);
    assert_eq!(bench.log(first.id).await.crashes, 0, "it was no crash");
}

async fn crashes_count_until_a_checkpoint(url: &str) {
    let bench = Bench::new(url).await;
    let mut held = bench.begin(SyncMode::Full).await;
    let mut now = Bench::at(5);
    for crashes in 1..=2 {
        now += LEASE;
        held = bench.take(held.id, now).await;
        assert_eq!(bench.log(held.id).await.crashes, crashes);
    }
    let load = bench.open(held, SyncMode::Full).await.unwrap();
    assert_eq!(bench.log(held.id).await.crashes, 2, "nothing was read yet");
    bench.commit(&load, &[("1", "{}")]).await.unwrap();
    assert_eq!(bench.log(held.id).await.crashes, 0);
}

async fn a_run_can_be_stopped(url: &str) {
    let bench = Bench::new(url).await;
    let now = Bench::at(3);
    let cancel = async |id, number| {
        bench.syncs.cancel(id, &RunOutcome::cancelled(), &receipt(number, None), now).await
    };
    // One that waits ends at once.
    let (waiting, started) = bench.next_run(SyncMode::Full);
    bench.syncs.start(&waiting, &started).await.unwrap();
    cancel(waiting.id, 901).await.unwrap();
    let log = bench.log(waiting.id).await;
    assert_eq!((log.status, log.error_code.as_deref()), (RunStatus::Error, Some("sync.cancelled")));
    assert_eq!(bench.status().await, Status::Enabled);
    assert!(matches!(cancel(waiting.id, 902).await, Err(StoreError::Stale)));

    // One at work hears of it with its next heartbeat.
    let held = bench.begin(SyncMode::Full).await;
    let beat = async || bench.syncs.extend(held.id, held.fence, Bench::at(90)).await.unwrap();
    assert_eq!(beat().await, Demand::Wanted);
    cancel(held.id, 903).await.unwrap();
    assert_eq!(beat().await, Demand::Unwanted);
    assert_eq!(bench.log(held.id).await.status, RunStatus::InProgress);
    bench.end(held, RunEnd::Cancelled).await.unwrap();
}

async fn a_paused_activation_does_not_want_its_run(url: &str) {
    let bench = Bench::new(url).await;
    let held = bench.begin(SyncMode::Full).await;
    let mut activation = bench.stored().await;
    activation.apply(Event::Disabled).unwrap();
    let store = bench.db.workspace_connectors();
    store.write(&[Change::Update(activation)], &receipt(904, None)).await.unwrap();
    let demand = bench.syncs.extend(held.id, held.fence, Bench::at(90)).await.unwrap();
    assert_eq!(demand, Demand::Unwanted);
}

async fn the_end_of_a_run_moves_the_activation(url: &str) {
    let bench = Bench::new(url).await;
    for (end, status) in [
        (RunEnd::Lossy, Status::Degraded),
        (RunEnd::Clean, Status::Enabled),
        (RunEnd::Unhealthy, Status::Degraded),
        (RunEnd::Failed, Status::Degraded),
        (RunEnd::Cancelled, Status::Degraded),
        (RunEnd::Clean, Status::Enabled),
        (RunEnd::Failed, Status::Enabled),
        (RunEnd::Cancelled, Status::Enabled),
        (RunEnd::Unauthorized, Status::NeedReconnect),
    ] {
        let before = bench.stored().await.revision;
        let held = bench.begin(SyncMode::Full).await;
        assert_eq!(bench.status().await, Status::Processing);
        bench.end(held, end).await.unwrap();
        assert_eq!(bench.status().await, status, "{end:?}");
        assert_eq!(bench.stored().await.revision, before.next().next());
        let log = bench.log(held.id).await;
        let is_success = matches!(end, RunEnd::Clean | RunEnd::Lossy);
        assert_eq!(log.status == RunStatus::Success, is_success);
        assert_eq!(log.error_code.is_none(), is_success);
        assert_eq!((log.duration_ms(), log.lease), (Some(60_000), None));
    }
}

async fn another_filter_lets_those_try_again_that_failed_for_theirs(url: &str) {
    let bench = Bench::new(url).await;
    let own = FilterScope::Custom(bench.activation.workspace_id);
    let elsewhere = [bench.place.workspace, bench.place.lower_workspace]
        .into_iter()
        .find(|it| *it != bench.activation.workspace_id);
    let elsewhere = FilterScope::Custom(elsewhere.unwrap());
    let connector = bench.activation.connector_id;
    let other = bench.place.connectors.iter().copied().find(|it| *it != connector).unwrap();
    let (unfit, absent) = ("connector_filter.invalid_condition", "source.not_found");
    for (number, (error, scope, connector_id, after)) in (1..).zip([
        (unfit, own, connector, Status::Enabled),
        (unfit, FilterScope::Template, connector, Status::Enabled),
        (unfit, own, other, Status::Error),
        (unfit, elsewhere, connector, Status::Error),
        (absent, own, connector, Status::Error),
    ]) {
        fail(&bench, error).await;
        let before = bench.stored().await;

        let filter = ConnectorFilter {
            scope,
            connector_id,
            deleted_at: None,
            ..ConnectorFilter::specimen(number, &bench.place)
        };
        let filters = bench.db.connector_filters();
        let receipt = |number| receipt(number, None);
        let made = Change::Insert(filter.clone());
        filters.write(&[made], &receipt(910 + number)).await.unwrap();
        let now = bench.stored().await;
        assert_eq!(now.status, after, "{number}");
        assert_eq!(now.revision != before.revision, before.status != after, "{number}");

        filters.write(&[Change::Purge(filter)], &receipt(920 + number)).await.unwrap();
        let mended = WorkspaceConnector { status: Status::Enabled, ..now };
        let store = bench.db.workspace_connectors();
        store.write(&[Change::Update(mended)], &receipt(930 + number)).await.unwrap();
    }
}

async fn a_filter_that_asks_the_same_as_before_moves_nothing(url: &str) {
    let bench = Bench::new(url).await;
    let filters = bench.db.connector_filters();
    let filter = |number, scope| ConnectorFilter {
        scope,
        connector_id: bench.activation.connector_id,
        ..ConnectorFilter::specimen(number, &bench.place)
    };
    let mut own = filter(1, FilterScope::Custom(bench.activation.workspace_id));
    let mut template = filter(2, FilterScope::Template);
    let others = [3, 6].map(|it| ConnectorFilter::specimen(it, &bench.place).config);
    keep(&*filters, [own.clone(), template.clone()]).await;
    let write = async |filter: &mut ConnectorFilter, number: u32| {
        let change = Change::Update(filter.clone());
        filters.write(&[change], &receipt(number, None)).await.unwrap();
        filter.revision = filter.revision.next();
        bench.status().await
    };
    let unfit = "connector_filter.invalid_condition";

    fail(&bench, unfit).await;
    assert_eq!(write(&mut own, 911).await, Status::Error, "it is as it was");
    own.natural_language = Some("the same in other words".to_owned());
    assert_eq!(write(&mut own, 912).await, Status::Error, "it asks what it asked");
    template.config = others[0].clone();
    assert_eq!(write(&mut template, 913).await, Status::Error, "the workspace has its own");
    own.config = others[1].clone();
    assert_eq!(write(&mut own, 914).await, Status::Enabled);

    fail(&bench, unfit).await;
    own.deleted_at = Some(own.updated_at);
    assert_eq!(write(&mut own, 915).await, Status::Enabled, "the template holds now");
    fail(&bench, unfit).await;
    own.config = others[0].clone();
    assert_eq!(write(&mut own, 916).await, Status::Error, "it is deleted");
    template.config = others[1].clone();
    assert_eq!(write(&mut template, 917).await, Status::Enabled);
}

async fn the_end_of_a_run_is_in_the_audit_trail(url: &str) {
    let bench = Bench::new(url).await;
    fail(&bench, "source.refused").await;
    let log = &bench.syncs.list(&bench.visible(), &ListQuery::default()).await.unwrap().items[0].0;
    let organization = Within(bench.place.organization);
    let found = bench.db.audit_events().find(&organization, end_of(log.id)).await.unwrap();
    let event = found.unwrap();
    assert_eq!((event.action.as_str(), event.resource_id), ("sync.ended", Some(log.id.uuid())));
    assert_eq!(event.workspace_id, Some(bench.place.workspace));
    assert_eq!((event.details["status"].as_str(), event.trace_id.len()), (Some("error"), 32));
    assert_eq!(event.details["error_code"], "source.refused");
    assert!(event.link.is_some(), "it is part of the chain");
}

/// Lets a run fail with that code.
async fn fail(bench: &Bench, code: &str) {
    let held = bench.begin(SyncMode::Full).await;
    let error = Some((code.to_owned(), "it does not fit".to_owned()));
    let outcome = RunOutcome { end: RunEnd::Broken, counts: RunCounts::default(), error };
    let now = bench.log(held.id).await.created_at + Duration::minutes(1);
    bench.syncs.finish(held.id, held.fence, &outcome, end_of(held.id), now).await.unwrap();
    assert_eq!(bench.status().await, Status::Error);
}

async fn failures_count_until_a_success(url: &str) {
    let bench = Bench::new(url).await;
    let failures = async || bench.syncs.failures(bench.activation.id).await.unwrap();
    assert_eq!(failures().await, Failures::default());
    // The first run, until there is a success.
    let mut since = None;
    for (end, count) in
        [(RunEnd::Failed, 1), (RunEnd::Failed, 2), (RunEnd::Clean, 0), (RunEnd::Failed, 1)]
    {
        let held = bench.begin(SyncMode::Full).await;
        bench.end(held, end).await.unwrap();
        let log = bench.log(held.id).await;
        since = match end {
            RunEnd::Clean => log.completed_at,
            _ => since.or(Some(log.created_at)),
        };
        assert_eq!(failures().await, Failures { count, since, losses: 0 });
    }
}

async fn a_purged_activation_takes_runs_and_records_along(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[("1", "{}")]).await;
    assert_eq!(rows(url, "records").await, 1);
    let store = bench.db.workspace_connectors();
    let activation = bench.stored().await;
    store.write(&[Change::Purge(activation)], &receipt(1, None)).await.unwrap();
    for table in ["records", "workspace_connector_streams", "workspace_connector_sync_logs"] {
        assert_eq!(rows(url, table).await, 0, "{table}");
    }
}

async fn runs_are_listed(url: &str) {
    let bench = Bench::new(url).await;
    let other = WorkspaceConnector {
        status: Status::Enabled,
        workspace_id: bench.place.foreign_workspace,
        person_id: None,
        ..WorkspaceConnector::specimen(2, &bench.place)
    };
    keep(&*bench.db.workspace_connectors(), [other]).await;
    let held = bench.begin(SyncMode::Incremental).await;
    bench.end(held, RunEnd::Failed).await.unwrap();
    let newest = bench.begin(SyncMode::Full).await;
    let page = bench.syncs.list(&bench.visible(), &ListQuery::default()).await.unwrap();
    let ids: Vec<_> = page.into_resources().into_iter().map(|it| it.id).collect();
    assert_eq!(ids, [newest.id, held.id]);

    let filter = |name: &str, value: &str| {
        let attributes = <linkspan_domain::SyncLog as linkspan_domain::Resource>::ATTRIBUTES;
        linkspan_domain::Filter::parse(attributes, name, "eq", value).unwrap()
    };
    for (name, value) in [
        ("status", "error"),
        ("mode", "incremental"),
        ("workspace_connector_sync_log_id", &held.id.to_string()),
    ] {
        let query = ListQuery { filters: vec![filter(name, value)], ..ListQuery::default() };
        let page = bench.syncs.list(&bench.visible(), &query).await.unwrap();
        assert_eq!(page.total, 1, "{name}");
        assert_eq!(page.into_resources()[0].id, held.id);
    }
    let activation = filter("workspace_connector_id", &bench.activation.id.to_string());
    let query = ListQuery { filters: vec![activation], ..ListQuery::default() };
    assert_eq!(bench.syncs.list(&bench.visible(), &query).await.unwrap().total, 2);
}

async fn a_queue_hands_out_what_the_store_has(url: &str) {
    let bench = Bench::new(url).await;
    let queue = bench.db.run_queue();
    let now = Bench::at(50);
    assert_eq!(queue.next("a", now, now + LEASE).await.unwrap(), None);
    let (run, receipt) = bench.next_run(SyncMode::Full);
    bench.syncs.start(&run, &receipt).await.unwrap();
    queue.offer(run.id).await;
    queue.offered().await;

    // Nobody has to have offered it, and one worker gets it.
    let workers = ["a", "b", "c", "d"].map(|it| queue.next(it, now, now + LEASE));
    let got = futures_util::future::join_all(workers).await;
    let got: Vec<_> = got.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(got.iter().map(|it| it.id).collect::<Vec<_>>(), [run.id]);

    // What is given back, or whose worker is silent, is handed out again.
    bench.syncs.release(run.id, got[0].fence).await.unwrap();
    queue.give_back(run.id).await;
    queue.offered().await;
    let again = queue.next("b", now, now + LEASE).await.unwrap().unwrap();
    assert!(again.fence > got[0].fence);
    let last = queue.next("c", now + LEASE, now + LEASE * 2).await.unwrap().unwrap();
    assert_eq!((last.id, last.crashes), (run.id, 1));
    bench.end(HeldRun { id: last.id, fence: last.fence }, RunEnd::Clean).await.unwrap();
    queue.done(run.id).await;
    assert_eq!(queue.next("d", now + LEASE * 9, now + LEASE * 10).await.unwrap(), None);
}

async fn a_mark_is_moved_unless_a_run_can_be_in_the_way(url: &str) {
    let bench = Bench::new(url).await;
    bench.full(&[("1", "{}")]).await;
    let state = bench.syncs.streams(bench.activation.id).await.unwrap().pop().unwrap();
    let moved = StreamState {
        cursor_column: Some("at".to_owned()),
        cursor_after: Some("7".to_owned()),
        ..state.clone()
    };
    let shift = async |number| bench.syncs.move_mark(&moved, &receipt(number, None)).await;
    // And what it is a mark of.
    let rename = async |number| {
        let renamed = WorkspaceConnector {
            streams: vec![StreamSettings {
                cursor_column: Some("at".to_owned()),
                ..StreamSettings::default()
            }],
            ..bench.stored().await
        };
        let receipts = [receipt(number, None), receipt(number + 100, None)];
        bench.syncs.change_cursors(&renamed, &[], &receipts).await
    };

    let held = bench.begin(SyncMode::Full).await;
    assert_eq!(shift(951).await.unwrap(), ChangeAtRest::Busy);
    assert_eq!(rename(957).await.unwrap(), ChangeAtRest::Busy);
    bench.end(held, RunEnd::Clean).await.unwrap();

    let schedules = bench.db.schedules();
    let running = crate::schedules::schedule(&bench, Some(Bench::at(500)));
    schedules.put(&running, &receipt(952, None)).await.unwrap();
    assert_eq!(shift(953).await.unwrap(), ChangeAtRest::Scheduled);
    assert_eq!(rename(958).await.unwrap(), ChangeAtRest::Scheduled);
    assert_eq!(bench.stored().await.streams, bench.activation.streams);
    assert_eq!(bench.syncs.stream(bench.activation.id, &state.stream).await.unwrap(), Some(state));

    let paused = linkspan_domain::Schedule { next_run_at: None, ..running };
    schedules.put(&paused, &receipt(954, None)).await.unwrap();
    assert_eq!(shift(955).await.unwrap(), ChangeAtRest::Made);
    let kept = bench.syncs.stream(bench.activation.id, &moved.stream).await.unwrap();
    assert_eq!(kept, Some(moved.clone()));
    let before = bench.stored().await.revision;
    assert_eq!(rename(959).await.unwrap(), ChangeAtRest::Made);
    let renamed = bench.stored().await;
    assert_eq!(renamed.streams[0].cursor_column.as_deref(), Some("at"));
    assert_eq!(renamed.revision, before.next());
    let audit = bench.db.audit_events();
    for kept in [959, 1_059] {
        let event = audit.find(&receipts(), receipt(kept, None).audit.id).await;
        assert!(event.unwrap().is_some(), "{kept}");
    }

    let absent = StreamState { stream: "absent".parse().unwrap(), ..moved };
    let nothing = bench.syncs.move_mark(&absent, &receipt(956, None)).await;
    assert!(matches!(nothing, Err(StoreError::Stale)), "{nothing:?}");
}
