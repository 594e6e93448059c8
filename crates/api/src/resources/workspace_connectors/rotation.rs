//! What callers say when they put other credentials to use.

use linkspan_app::{OnFailure, Rotation, Turnover};
use linkspan_domain::{CredentialVersion, Name, Overlap};
use poem_openapi::registry::MetaSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    body::PlainBody,
    resource::Shown,
    schema::{Property, object, property},
};

/// New secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotationBody {
    config: Map<String, Value>,
    #[serde(default)]
    reason: Option<Name>,
    #[serde(default)]
    overlap_secs: Overlap,
    #[serde(default)]
    force_save: bool,
}

/// Why earlier credentials are put to use again.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnoverBody {
    #[serde(default)]
    reason: Option<Name>,
    #[serde(default)]
    overlap_secs: Overlap,
}

impl PlainBody for RotationBody {
    const NAME: &'static str = "CredentialRotation";
    const TYPE: &'static str = <CredentialVersion as Shown>::TYPE;

    fn schema() -> MetaSchema {
        let about = "The new secrets, where they belong in the settings, as a JSON Merge Patch (RFC 7396). `••••••••` keeps the one \
                     that is stored.";
        let mut properties = vec![property::<Map<String, Value>>("config", about)];
        properties.extend(turnover());
        let about = "Whether they are put to use even if they do not work.";
        properties.push(property::<bool>("force_save", about));
        object(properties, &["config"])
    }

    fn example() -> Option<Value> {
        Some(json!({ "config": { "password": "…" }, "reason": "quarterly rotation" }))
    }
}

impl PlainBody for TurnoverBody {
    const NAME: &'static str = "CredentialRollback";
    const TYPE: &'static str = <CredentialVersion as Shown>::TYPE;

    fn schema() -> MetaSchema {
        object(turnover(), &[])
    }
}

fn turnover() -> Vec<Property> {
    let about = "For how many seconds those in use until now are kept, so that they can be gone back to. 0 wipes them at once.";
    vec![
        property::<Option<Name>>("reason", "Why, for people. Secrets in it are masked."),
        property::<Overlap>("overlap_secs", about),
    ]
}

impl From<RotationBody> for Rotation {
    fn from(body: RotationBody) -> Self {
        let RotationBody { config, reason, overlap_secs, force_save } = body;
        let on_failure = if force_save { OnFailure::Keep } else { OnFailure::Refuse };
        Self { config, on_failure, turnover: TurnoverBody { reason, overlap_secs }.into() }
    }
}

impl From<TurnoverBody> for Turnover {
    fn from(TurnoverBody { reason, overlap_secs }: TurnoverBody) -> Self {
        Self { reason: reason.map(Into::into), overlap: overlap_secs }
    }
}
