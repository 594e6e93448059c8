//! Schedules: one for each activation, and each turn once.

use linkspan_domain::{
    Event, RunStatus, Schedule, Status, SyncMode, Trigger, Visible, Within, WorkspaceConnector,
    ports::{Change, StoreError, Timing, Turn, TurnTaken},
};
use linkspan_testkit::fixtures::{Specimen, receipt};
use time::{Duration, OffsetDateTime};

use crate::{activation::Bench, scratch::on_both};

on_both! {
    a_schedule_is_kept_as_it_is_and_replaced_as_a_whole
    only_what_is_due_comes
    an_activation_comes_with_its_schedule_or_not_at_all
    a_turn_is_taken_once_and_starts_a_run
    a_turn_is_skipped_while_the_activation_cannot_run
    a_turn_that_comes_too_late_is_passed_over
    a_schedule_that_cannot_be_read_stops_no_other
}

pub(crate) fn schedule(bench: &Bench, next_run_at: Option<OffsetDateTime>) -> Schedule {
    Schedule {
        workspace_connector_id: bench.activation.id,
        workspace_id: bench.activation.workspace_id,
        recurrence: linkspan_domain::Recurrence::Cron {
            expression: "30 6 * * MON-FRI".parse().unwrap(),
            time_zone: "Europe/Vienna".parse().unwrap(),
        },
        mode: SyncMode::Full,
        next_run_at,
        last_started_at: None,
        last_skipped_at: None,
        created_at: Bench::at(1),
        updated_at: Bench::at(1),
    }
}

fn turn(bench: &Bench, schedule: &Schedule, again: OffsetDateTime) -> Turn {
    let (mut run, started) = bench.next_run(SyncMode::Full);
    run.trigger_type = Trigger::Schedule;
    let mut skipped = started.clone();
    "sync.skipped".clone_into(&mut skipped.audit.action);
    let (schedule, next_run_at) = (schedule.clone(), Some(again));
    Turn { schedule, next_run_at, timing: Timing::Due, run, started, skipped }
}

async fn a_schedule_is_kept_as_it_is_and_replaced_as_a_whole(url: &str) {
    let bench = Bench::new(url).await;
    let (store, id) = (bench.db.schedules(), bench.activation.id);
    let find = async || store.find(&bench.visible(), id).await.unwrap();
    assert_eq!(find().await, None);
    let none = store.remove(id, &receipt(801, None)).await;
    assert!(matches!(none, Err(StoreError::Stale)), "{none:?}");

    let first = schedule(&bench, Some(Bench::at(5)));
    store.put(&first, &receipt(802, None)).await.unwrap();
    assert_eq!(find().await, Some(first.clone()));
    let foreign = Visible::only(bench.place.foreign_workspace);
    assert_eq!(store.find(&foreign, id).await.unwrap(), None);

    let every = linkspan_domain::Recurrence::Every(90.try_into().unwrap());
    let second = Schedule {
        recurrence: every,
        mode: SyncMode::Incremental,
        next_run_at: None,
        updated_at: Bench::at(2),
        ..first
    };
    store.put(&second, &receipt(803, None)).await.unwrap();
    assert_eq!(find().await, Some(second));
    store.remove(id, &receipt(804, None)).await.unwrap();
    assert_eq!(find().await, None);
}

async fn only_what_is_due_comes(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.schedules();
    let kept = schedule(&bench, Some(Bench::at(5)));
    store.put(&kept, &receipt(811, None)).await.unwrap();
    let early = Bench::at(5) - Duration::MICROSECOND;
    assert_eq!(store.due(early, 10).await.unwrap(), []);
    let due = store.due(Bench::at(5), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].schedule, kept);
    store.put(&schedule(&bench, None), &receipt(812, None)).await.unwrap();
    assert_eq!(store.due(Bench::at(9), 10).await.unwrap(), [], "a paused one is never due");
}

async fn a_turn_is_taken_once_and_starts_a_run(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.schedules();
    let kept = schedule(&bench, Some(Bench::at(5)));
    store.put(&kept, &receipt(821, None)).await.unwrap();
    let turns: Vec<_> = (0..4).map(|_| turn(&bench, &kept, Bench::at(29))).collect();
    let taken = futures_util::future::join_all(turns.iter().map(|it| store.take(it))).await;
    let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
    let started: Vec<_> = (0..4).filter(|&index| taken[index] == TurnTaken::Started).collect();
    assert_eq!(started.len(), 1, "{taken:?}");
    assert_eq!(taken.iter().filter(|it| **it == TurnTaken::Missed).count(), 3, "{taken:?}");
    let run = &turns[started[0]].run;
    let log = bench.log(run.id).await;
    assert_eq!((log.status, log.trigger_type), (RunStatus::Scheduled, Trigger::Schedule));
    assert_eq!(bench.status().await, Status::Processing);
    let after = store.find(&bench.visible(), bench.activation.id).await.unwrap().unwrap();
    assert_eq!(
        (after.next_run_at, after.last_started_at),
        (Some(Bench::at(29)), Some(run.created_at))
    );
}

async fn a_turn_is_skipped_while_the_activation_cannot_run(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.schedules();
    let kept = schedule(&bench, Some(Bench::at(5)));
    store.put(&kept, &receipt(831, None)).await.unwrap();
    bench.begin(SyncMode::Full).await;
    let busy = turn(&bench, &kept, Bench::at(29));
    assert_eq!(store.take(&busy).await.unwrap(), TurnTaken::Skipped(Some(Status::Processing)));
    let after = store.find(&bench.visible(), bench.activation.id).await.unwrap().unwrap();
    assert_eq!((after.last_started_at, after.last_skipped_at), (None, Some(busy.run.created_at)));
    assert_eq!(store.due(Bench::at(28), 10).await.unwrap(), [], "it is not made up for");
    let audit = bench.db.audit_events();
    let organization = Within(busy.skipped.audit.organization_id);
    let event = audit.find(&organization, busy.skipped.audit.id).await.unwrap().unwrap();
    assert_eq!(event.action, "sync.skipped");

    let again = turn(&bench, &after, Bench::at(30));
    assert_eq!(store.take(&again).await.unwrap(), TurnTaken::Skipped(Some(Status::Processing)));
    let told = audit.find(&organization, again.skipped.audit.id).await.unwrap();
    assert_eq!(told, None, "the trail has the first of several");
    let after = store.find(&bench.visible(), bench.activation.id).await.unwrap().unwrap();
    assert_eq!(after.last_skipped_at, Some(again.run.created_at));

    let mut activation = bench.stored().await;
    activation.apply(Event::Disabled).unwrap();
    activation.deleted_at = Some(Bench::at(30));
    let activations = bench.db.workspace_connectors();
    activations.write(&[Change::Update(activation)], &receipt(832, None)).await.unwrap();
    let gone = turn(&bench, &after, Bench::at(53));
    assert_eq!(store.take(&gone).await.unwrap(), TurnTaken::Skipped(None));
}

async fn a_turn_that_comes_too_late_is_passed_over(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.schedules();
    let kept = schedule(&bench, Some(Bench::at(5)));
    store.put(&kept, &receipt(861, None)).await.unwrap();
    let late = Turn { timing: Timing::Late, ..turn(&bench, &kept, Bench::at(29)) };
    assert_eq!(store.take(&late).await.unwrap(), TurnTaken::PassedOver);
    assert_eq!(bench.status().await, Status::Enabled);
    let after = store.find(&bench.visible(), bench.activation.id).await.unwrap().unwrap();
    assert_eq!(
        (after.next_run_at, after.last_started_at, after.last_skipped_at),
        (Some(Bench::at(29)), None, Some(late.run.created_at))
    );
    let next = turn(&bench, &after, Bench::at(30));
    assert_eq!(store.take(&next).await.unwrap(), TurnTaken::Started);
}

async fn a_schedule_that_cannot_be_read_stops_no_other(url: &str) {
    let bench = Bench::new(url).await;
    let other = bench.another(2).await;
    let store = bench.db.schedules();
    for (number, it) in [(871, &bench), (872, &other)] {
        store.put(&schedule(it, Some(Bench::at(5))), &receipt(number, None)).await.unwrap();
    }
    let broken = "\
        UPDATE schedules SET cron = NULL, time_zone = NULL, interval_secs = 1 \
         WHERE workspace_connector_pk = (SELECT min(workspace_connector_pk) FROM schedules)";
    crate::scratch::run(url, broken).await.unwrap();
    let due = store.due(Bench::at(5), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].schedule.workspace_connector_id, other.activation.id);
}

async fn an_activation_comes_with_its_schedule_or_not_at_all(url: &str) {
    let bench = Bench::new(url).await;
    let store = bench.db.schedules();
    let activation =
        WorkspaceConnector { person_id: None, ..WorkspaceConnector::specimen(9, &bench.place) };
    let tenancy = Visible::only(activation.workspace_id);
    let mut wanted = schedule(&bench, Some(Bench::at(5)));
    wanted.workspace_connector_id = activation.id;
    wanted.workspace_id = activation.workspace_id;
    // A receipt that is there already undoes all of it.
    let twice = [receipt(841, None), receipt(841, None)];
    assert!(store.bootstrap(&activation, &[], &wanted, &twice).await.is_err());
    let activations = bench.db.workspace_connectors();
    assert_eq!(activations.find(&tenancy, activation.id).await.unwrap(), None);

    let receipts = [receipt(842, None), receipt(843, None)];
    store.bootstrap(&activation, &[], &wanted, &receipts).await.unwrap();
    assert_eq!(activations.find(&tenancy, activation.id).await.unwrap().unwrap().id, activation.id);
    assert_eq!(store.find(&tenancy, activation.id).await.unwrap(), Some(wanted));
}
