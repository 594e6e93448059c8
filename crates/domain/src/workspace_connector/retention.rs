//! How long records are kept that their source does not have any more.

use serde::{Deserialize, Deserializer, Serialize};
use time::Duration;

use crate::whole::whole;

/// What becomes of a record that a full load does not meet.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Missing {
    /// It becomes a tombstone at once.
    #[default]
    Delete,
    /// It stays, is stale, and becomes a tombstone when it was stale for as long as records are retained.
    MarkStale,
}

/// For how many days something is kept that its source does not have any more: 1 to 3650.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "u32")]
pub struct RetentionDays(u32);

/// The number of days is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("records are retained for 1 to {max} days, not for {0}", max = RetentionDays::MAX)]
pub struct InvalidRetention(u32);

/// What the end of a full load makes of the records that it did not meet, and of tombstones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For how long a record is stale before it becomes a tombstone. None: it becomes one at once.
    pub stale: Option<RetentionDays>,
    /// For how long tombstones are kept. None: forever.
    pub tombstones: Option<RetentionDays>,
}

impl Missing {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl RetentionDays {
    /// The most days.
    pub const MAX: u32 = 3_650;

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::days(self.0.into())
    }
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<u32> for RetentionDays {
    type Error = InvalidRetention;

    fn try_from(days: u32) -> Result<Self, Self::Error> {
        if (1..=Self::MAX).contains(&days) { Ok(Self(days)) } else { Err(InvalidRetention(days)) }
    }
}

impl<'de> Deserialize<'de> for RetentionDays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer, 1..=Self::MAX).map(Self)
    }
}

impl From<RetentionDays> for u32 {
    fn from(days: RetentionDays) -> Self {
        days.0
    }
}

impl Retention {
    pub(super) fn of(missing: Missing, days: Option<RetentionDays>) -> Self {
        match missing {
            Missing::Delete => Self { stale: None, tombstones: days },
            Missing::MarkStale => {
                let days = Some(days.unwrap_or_default());
                Self { stale: days, tombstones: days }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Retention, RetentionDays};
    use crate::StreamSettings;

    fn read(settings: Value) -> Result<Retention, String> {
        let settings: Result<StreamSettings, _> = serde_json::from_value(settings);
        settings.map(|it| it.retention()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_goes_at_once_unless_the_settings_say_otherwise() {
        let days = |days: u32| Some(RetentionDays::try_from(days).unwrap());
        assert_eq!(read(json!({})), Ok(Retention { stale: None, tombstones: None }));
        assert_eq!(
            read(json!({ "missing": "delete", "retention_days": 7 })),
            Ok(Retention { stale: None, tombstones: days(7) })
        );
        assert_eq!(
            read(json!({ "missing": "mark_stale" })),
            Ok(Retention { stale: days(30), tombstones: days(30) })
        );
        assert_eq!(
            read(json!({ "missing": "mark_stale", "retention_days": 3650 })),
            Ok(Retention { stale: days(3650), tombstones: days(3650) })
        );
    }

    #[test]
    fn days_out_of_bounds_and_unknown_words_are_refused() {
        for days in [json!(0), json!(3_651), json!(-1), json!(1.5), json!("7"), json!(1_u64 << 33)]
        {
            let error = read(json!({ "retention_days": days })).unwrap_err();
            assert!(error.ends_with("expected a whole number from 1 to 3650"), "{error}");
        }
        let error = read(json!({ "missing": "keep" })).unwrap_err();
        assert!(error.contains("`delete` or `mark_stale`"), "{error}");
    }
}
