//! Things made up for tests: numbered, valid, and unlike each other.

mod activations;
mod catalog;
mod credentials;
mod files;
mod mappings;
mod tenancy;
mod trail;

use std::{fmt::Debug, str::FromStr};

use linkspan_domain::{
    ActorType, AuditEvent, AuditEventId, ConnectorId, FilterValue, Id, IdempotencyReply,
    OrganizationId, PersonId, ProviderId, Receipt, Resource, ResourceType, Revision, WorkspaceId,
};
use serde_json::Value;
use strum::VariantNames;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

/// When the first thing was made.
pub const EPOCH: OffsetDateTime = datetime!(2026-05-01 12:00 UTC);

/// Where made-up things belong: what they refer to must be kept before them.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose they are.
    pub organization: OrganizationId,
    /// Another organization, that must not see them.
    pub stranger: OrganizationId,
    /// The workspace they are in, of [`organization`](Self::organization).
    pub workspace: WorkspaceId,
    /// A workspace below it.
    pub lower_workspace: WorkspaceId,
    /// A workspace that must not see them.
    pub foreign_workspace: WorkspaceId,
    /// Somebody of the organization.
    pub person: PersonId,
    /// Connectors to activate, at least one.
    pub connectors: Vec<ConnectorId>,
    /// A provider to pair with the connectors.
    pub provider: ProviderId,
    /// An activation to test.
    pub activation: linkspan_domain::WorkspaceConnectorId,
}

/// A kind of thing that can be made up, and read attribute by attribute.
pub trait Specimen: Resource {
    /// The thing with this number. All that may be left out is left out of some, and every variant occurs, among the
    /// first 32.
    fn specimen(number: u32, place: &Place) -> Self;

    /// Who sees the things of `place`.
    fn tenancy(place: &Place) -> Self::Tenancy;

    /// Whether everybody sees this one, whose ever it is.
    fn is_shared(&self) -> bool {
        false
    }

    /// Who does not see them. None: everybody does.
    fn elsewhere(place: &Place) -> Option<Self::Tenancy>;

    /// The value of one of [`Resource::ATTRIBUTES`].
    ///
    /// # Panics
    ///
    /// For any other name.
    fn attribute(&self, name: &str) -> Option<FilterValue>;

    /// The parts that every write touches. None: a thing of this kind is never written again.
    fn parts(&mut self) -> Option<Parts<'_>>;

    /// The same thing, changed in as many fields as can change. The like of `other`, but for what names it.
    #[must_use]
    fn become_like(&self, other: &Self) -> Self;

    /// Another thing that must have the same name as this one, if names are unique.
    fn twin(&self) -> Option<Self>;

    /// The same thing, referring to something that is not there, if it refers to anything.
    fn orphan(&self) -> Option<Self>;
}

/// The parts of a thing that every write touches.
#[derive(Debug)]
pub struct Parts<'a> {
    /// How often it was written.
    pub revision: &'a mut Revision,
    /// When it was deleted.
    pub deleted_at: &'a mut Option<OffsetDateTime>,
}

/// An identifier out of a number. Its order has nothing to do with that of the numbers.
pub fn id<I: Id>(number: u32) -> I {
    I::from_uuid(scattered(number.into()))
}

/// A receipt that no list of the place shows.
pub fn receipt(number: u32, reply: Option<IdempotencyReply>) -> Receipt {
    let audit = AuditEvent {
        id: AuditEventId::from_uuid(scattered(u64::from(number) + (1 << 40))),
        organization_id: OrganizationId::from_uuid(scattered(1 << 41)),
        workspace_id: None,
        actor_type: ActorType::System,
        actor_id: None,
        action: "test.written".to_owned(),
        resource_type: ResourceType::Connector,
        resource_id: None,
        details: Value::Null,
        ip_address: None,
        trace_id: format!("trace-{number}"),
        created_at: EPOCH,
        link: None,
    };
    Receipt { audit, reply }
}

/// Who may look for [`receipt`]s.
pub fn receipts() -> linkspan_domain::Within {
    linkspan_domain::Within(OrganizationId::from_uuid(scattered(1 << 41)))
}

/// SplitMix64, twice: the bits of neighbours have nothing in common.
fn scattered(number: u64) -> Uuid {
    let mix = |seed: u64| {
        let mut it = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    };
    Uuid::from_u64_pair(mix(number), mix(!number))
}

/// Texts that trip what reads them as patterns, as SQL or byte by byte.
const WORDS: &[&str] = &[
    "Alpha",
    "alpha beta",
    "100% sure",
    "under_score",
    "back\\slash",
    "Ünïcode",
    "O'Hara \"quoted\"",
    "ZULU",
    "beta",
    "Straße",
    "[brackets]",
    "emoji 🦀",
];

/// A text like no other number's.
fn text(number: u32) -> String {
    format!("{} {}", pick(WORDS, number), number / 3)
}

/// Several instants to a second, now and then the same one twice.
fn instant(number: u32) -> OffsetDateTime {
    const MICROSECONDS: &[i64] = &[0, 500_000, 250_000, 1, 999_999, 0, 10];
    EPOCH
        + Duration::seconds((number / 7).into())
        + Duration::microseconds(*pick(MICROSECONDS, number))
}

fn pick<T>(from: &[T], number: u32) -> &T {
    &from[number as usize % from.len()]
}

/// The words of a closed set in turn.
fn variant<T: VariantNames + FromStr<Err: Debug>>(number: u32) -> T {
    parsed::<T>(T::VARIANTS[number as usize % T::VARIANTS.len()])
}

/// `value` for half of the numbers: `bit` says which half.
fn sometimes<T>(number: u32, bit: u32, value: T) -> Option<T> {
    ((number >> bit) & 1 == 1).then_some(value)
}

#[expect(clippy::unwrap_used, reason = "fixtures are valid")]
fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn word<T: Into<&'static str>>(it: T) -> FilterValue {
    FilterValue::Word(it.into())
}

fn words(it: &impl ToString) -> FilterValue {
    FilterValue::Text(it.to_string())
}

fn named(it: impl Id) -> FilterValue {
    FilterValue::Id(it.uuid())
}

fn date(it: OffsetDateTime) -> FilterValue {
    FilterValue::Date(it)
}

fn unknown(name: &str) -> ! {
    panic!("there is no attribute `{name}`")
}
