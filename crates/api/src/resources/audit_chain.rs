//! `/v1/audit-chain`: whether the audit trail is as it was written.

use linkspan_app::{AuditChain, ChainFaultKind};
use linkspan_domain::{Attribute, AuditEventId, Revision};
use poem_openapi::OpenApi;

use super::Tag;
use crate::{
    answer::Document,
    include::Found,
    problem::Failure,
    request::Asking,
    resource::{Key, Related, Relationship, Shown, attributes},
};

/// The operations.
#[derive(Default)]
pub(crate) struct AuditChains;

#[OpenApi(prefix_path = "/v1/audit-chain", tag = "Tag::Organization")]
impl AuditChains {
    /// Verify the audit trail
    ///
    /// Every event of the audit trail has a number and a hash that stands for it and all before it. This follows them from the first
    /// to the last, and tells the first place where something was changed or is missing. Keep the `head` elsewhere: as long as
    /// an event has that hash, nothing before it was rewritten.
    #[oai(path = "/", method = "get", operation_id = "verify_audit_chain")]
    async fn verify(&self, request: Asking<AuditChain>) -> Result<Document<AuditChain>, Failure> {
        request.show(&request.context.app.audit.verify(&request.call.caller).await?)
    }
}

attributes! { AuditChain, |it| {
    /// Whether everything is as it was written.
    is_intact: bool = it.fault.is_none();
    /// How many events are in the chain, up to the first fault.
    events: i64 = it.events;
    /// How many events are from before there was a chain, which begins with the hash after them.
    unchained_events: i64 = i64::try_from(it.unchained).unwrap_or(i64::MAX);
    /// The hash of the last of them.
    head: Option<String> = it.head.map(|it| it.hash.to_string());
    /// What the first fault is.
    fault: Option<ChainFaultKind> = it.fault.as_ref().map(|it| <&str>::from(it.kind));
    /// The number where it is.
    fault_sequence: Option<i64> = it.fault.as_ref().map(|it| it.sequence);
    /// The event that is there.
    fault_audit_event_id: Option<AuditEventId> = it.fault.as_ref().and_then(|it| it.event);
} }

impl Shown for AuditChain {
    const TYPE: &'static str = "audit_chain";
    const NAME: &'static str = "AuditChain";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];

    fn key(&self) -> Key {
        Key::of(self.organization_id)
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
