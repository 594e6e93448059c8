//! `/v1/keys` and `/v1/key-rotations`: the master keys that seal secrets.

use std::collections::BTreeMap;

use linkspan_app::{KeyInUse, Records};
use linkspan_domain::{
    Attribute, KeyRole, KeyRotation, KeyRotationCounts, KeyRotationFailure, KeyRotationId,
    KeyRotationRefusal, KeyRotationStatus, Resource, Revision, ports::KeyId,
};
use poem_openapi::{OpenApi, registry::MetaSchema};
use time::OffsetDateTime;

use super::Tag;
use crate::{
    App,
    answer::{Collection, Document},
    body::Nothing,
    include::Found,
    problem::Failure,
    request::{Asking, Creating, Listing, Reading},
    resource::{Kept, Key, Related, Relationship, Shown, attributes, instant, maybe_instant},
    schema::{Schema, inline, object, property},
};

/// The operations on keys.
#[derive(Default)]
pub(crate) struct Keys;

#[OpenApi(prefix_path = "/v1/keys", tag = "Tag::Platform")]
impl Keys {
    /// List master keys
    ///
    /// Those that are here, and those that are not but that something is sealed with. A previous key with no secrets may be taken
    /// away.
    #[oai(path = "/", method = "get", operation_id = "list_keys")]
    async fn list(&self, request: Asking<KeyInUse>) -> Result<Collection<KeyInUse>, Failure> {
        let keys = request.context.app.keys.list(&request.call.caller).await?;
        Collection::whole(&keys, &request.path)
    }

    /// Rotate the master key
    ///
    /// Has everything sealed anew under the current key, while reads and writes go on: follow the rotation that is answered. While
    /// one runs, it is answered and no other begins; where nothing is left to do, it is done at once, and the audit trail has
    /// `keys.rotation_unneeded`. It outlives a crash. There is nothing to say in a body.
    #[oai(path = "/rotate", method = "post", operation_id = "rotate_keys")]
    async fn rotate(
        &self,
        request: Creating<Nothing, Document<KeyRotation, 202>>,
    ) -> Result<Document<KeyRotation, 202>, Failure> {
        let Creating { call, context, view, .. } = request;
        let rotation = context.app.keys.rotate(&call).await?;
        Document::of(&context, &call.caller, &view, &rotation).await
    }
}

/// The operations on rotations.
#[derive(Default)]
pub(crate) struct KeyRotations;

#[OpenApi(prefix_path = "/v1/key-rotations", tag = "Tag::Platform")]
impl KeyRotations {
    /// List rotations of the master key
    #[oai(path = "/", method = "get", operation_id = "list_key_rotations")]
    async fn list(
        &self,
        request: Listing<KeyRotation>,
    ) -> Result<Collection<KeyRotation>, Failure> {
        request.answer().await
    }

    /// Get a rotation of the master key
    #[oai(path = "/:id", method = "get", operation_id = "get_key_rotation")]
    async fn get(&self, request: Reading<KeyRotation>) -> Result<Document<KeyRotation>, Failure> {
        request.answer().await
    }
}

attributes! { KeyRotation, |it| {
    /// The same as `id`.
    key_rotation_id: KeyRotationId = it.id;
    /// How far it is. `failed`: it is over, and not everything is sealed under the new key.
    status: KeyRotationStatus = it.status;
    /// The key that seals from now on.
    to_key: KeyId = it.to_key;
    /// The keys that sealed what there was to do.
    from_keys: Vec<KeyId> = it.from_keys.iter().copied().collect::<Vec<_>>();
    /// What became of the secrets.
    counts: KeyRotationCounts = it.counts;
    /// What could not be sealed anew, the first hundred.
    failures: Vec<KeyRotationFailure> = &it.failures;
    /// When it was asked for.
    created_at: OffsetDateTime = instant(it.created_at);
    /// When it was last written.
    updated_at: OffsetDateTime = instant(it.updated_at);
    /// When it ended.
    completed_at: Option<OffsetDateTime> = maybe_instant(it.completed_at);
} }

attributes! { KeyInUse, |it| {
    /// Names it: the same as `id`. None: of secrets in no format that is known.
    key_id: Option<KeyId> = it.key;
    /// Whether it seals, only opens, or is not here.
    role: KeyRole = it.role;
    /// How many secrets are sealed with it.
    sealed: u64 = it.sealed;
    /// How often it has sealed, for each purpose. Counted in blocks, ahead.
    encryptions: BTreeMap<String, u64> = encryptions(it);
    /// Whether it is time for another key: it has sealed half as often as it may.
    is_worn: bool = it.is_worn();
} }

fn encryptions(it: &KeyInUse) -> BTreeMap<String, u64> {
    it.usage.iter().map(|it| (it.purpose.to_string(), it.sealed)).collect()
}

impl Schema for KeyRotationCounts {
    fn schema() -> MetaSchema {
        let properties = vec![
            property::<u64>("total", "Secrets under other keys."),
            property::<u64>("rotated", "Sealed anew."),
            property::<u64>("skipped", "Written or purged by others meanwhile."),
            property::<u64>("failed", "They do not open, and stay as they are."),
        ];
        object(properties, &["total", "rotated", "skipped", "failed"])
    }
}

impl Schema for KeyRotationFailure {
    fn schema() -> MetaSchema {
        let reason = MetaSchema {
            description: Some("Why it could not be sealed anew."),
            ..KeyRotationRefusal::schema()
        };
        let properties = vec![
            property::<String>("place", "Where it is, such as `workspace_connectors`."),
            property::<KeyRotationId>("id", "The identifier of the thing that it belongs to."),
            ("reason", inline(reason)),
            property::<Option<KeyId>>("key_id", "The key that sealed it."),
        ];
        object(properties, &["place", "id", "reason", "key_id"])
    }
}

impl Shown for KeyRotation {
    const TYPE: &'static str = "key_rotation";
    const NAME: &'static str = "KeyRotation";
    const PATH: Option<&'static str> = Some("/v1/key-rotations");
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = <Self as Resource>::ATTRIBUTES;

    fn key(&self) -> Key {
        Key::of(self.id)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}

impl Kept for KeyRotation {
    fn records(app: &App) -> &Records<Self> {
        app.keys.records()
    }
}

impl Shown for KeyInUse {
    const TYPE: &'static str = "key";
    const NAME: &'static str = "Key";
    const PATH: Option<&'static str> = None;
    const RELATIONSHIPS: &'static [Relationship] = &[];
    const LISTED: &'static [Attribute] = &[];
    const HAS_UUID: bool = false;

    fn key(&self) -> Key {
        Key::Text(self.key.map_or_else(|| "unreadable".to_owned(), |it| it.to_string()))
    }

    fn revision(&self) -> Revision {
        Revision::FIRST
    }

    fn related(&self, _: &str, _: &Found) -> Related {
        Related::One(None)
    }
}
