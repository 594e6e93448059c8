//! Records that were kept aside, since they could not be stored.

use linkspan_app::RecordError;
use linkspan_domain::{Attribute, Permission, Revision, SyncLogId};
use linkspan_sdk::Quarantined;
use time::OffsetDateTime;

use crate::{
    answer::Sequence,
    cursor::Scope,
    document::Sequel,
    include::Found,
    problem::Failure,
    query::invalid,
    request::Continuing,
    resource::{Key, Related, Relationship, Shown, attributes, instant},
};

/// A record that was kept aside.
pub(crate) struct ShownQuarantined(Quarantined);

/// Answers a page of one stream's.
pub(super) async fn list(
    request: Continuing<ShownQuarantined>,
) -> Result<Sequence<ShownQuarantined>, Failure> {
    let Continuing { call, context, choice, size, after, path, query, .. } = request;
    call.caller.require(Permission::ConnectorRead).map_err(RecordError::from)?;
    let missing = |name: &str| invalid(name, "is needed: records are kept aside stream by stream");
    let activation = choice.activation.ok_or_else(|| missing("filter[workspace_connector_id]"))?;
    let stream = choice.stream.ok_or_else(|| missing("filter[stream]"))?;
    let scope = Scope::of_workspace(ShownQuarantined::TYPE, &call.caller);
    let after = after.map(|it| scope.resume(&it).map_err(|it| it.in_parameter("page[after]")));
    let limit = u32::from(size.get());
    let data = &context.app.data;
    let found =
        data.quarantined(&call.caller, activation, stream, after.transpose()?, limit).await?;
    let next = found.last().map(|it| scope.seal(&it.position));
    let is_full = found.len() == limit as usize;
    let sequel = next.filter(|_| is_full).map_or(Sequel::Never, Sequel::Now);
    let found: Vec<_> = found.into_iter().map(ShownQuarantined).collect();
    Sequence::of(&found, |it| scope.seal(&it.0.position), &path, &query, sequel)
}

attributes! { ShownQuarantined, |it| {
    /// What names it within its stream, if it can be named.
    key: Option<String> = &it.0.key;
    /// What it looks like: JSON as far as it can be said, and no more than the beginning of a large one.
    payload: String = &it.0.payload;
    /// What is wrong with it.
    reason: String = &it.0.reason;
    /// The run that last met it, as long as its log is kept.
    workspace_connector_sync_log_id: Option<SyncLogId> = it.0.run;
    /// When it was first met.
    first_seen_at: OffsetDateTime = instant(it.0.first_seen_at);
    /// When it was last met.
    last_seen_at: OffsetDateTime = instant(it.0.last_seen_at);
} }

impl Shown for ShownQuarantined {
    const TYPE: &'static str = "quarantined_record";
    const NAME: &'static str = "QuarantinedRecord";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.0.position.to_string())
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
