//! Why a connector could not do what it was asked for.

use std::{borrow::Cow, fmt, time::Duration};

use linkspan_domain::{Code, Secrets, ports::Cause};

/// Why a connector could not do what it was asked for.
///
/// Each message is shown to the person who uses the connector: it says what failed and what to do,
/// and repeats no secret and no value of the settings. What the system itself said is the `source`,
/// which is for the log of the operator, unless nobody else knows why it refused.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was handed in does not fit: settings, parameters, a request.
    #[error("{what}: `{field}` {reason}")]
    Invalid {
        /// What was handed in: `settings`, `parameters`, `request`.
        what: Cow<'static, str>,
        /// The path of the field that does not fit.
        field: String,
        /// What is wrong with it, continuing a sentence: `is required`, `must be a number`.
        reason: String,
    },
    /// The system does not accept the credentials.
    #[error("the system refused the credentials; correct or renew them and try again")]
    Unauthorized,
    /// There is no grant that the system accepts: a person must authorize again. The text says how.
    #[error("{0}")]
    NeedReconnect(String),
    /// The system, or a rule of the platform, says no. The text says what and why.
    #[error("{0}")]
    Refused(String),
    /// What was asked for does not exist there. The text names it.
    #[error("{0} was not found; check its name and that the credentials may see it")]
    NotFound(String),
    /// The system does not answer, or not sensibly. Trying again may help.
    #[error(
        "{system} could not be reached or did not answer; check its address and try again later"
    )]
    Unavailable {
        /// Which system: a host, or a word for it.
        system: String,
        /// What the network or the driver said.
        #[source]
        source: Option<Cause>,
    },
    /// The system says no, and may think better of it with nothing changed. The text says what and why.
    #[error("{0}")]
    NotNow(String),
    /// The system asks to slow down.
    #[error("the system asks to slow down; try again later")]
    RateLimited {
        /// How long it asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// There is more than the platform takes.
    #[error(
        "{what} is larger than the limit of {limit} bytes; split it, or ask an operator to raise the limit"
    )]
    TooLarge {
        /// What there is too much of: a file, an answer.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// What arrived cannot be understood.
    #[error("{what} cannot be read{}: {reason}", line.map(|it| format!(" at line {it}")).unwrap_or_default())]
    Malformed {
        /// What was being read: a file, an answer.
        what: String,
        /// Where, for texts with lines; the first is 1.
        line: Option<u64>,
        /// What is wrong with it. Quotes nothing out of it.
        reason: String,
    },
    /// Someone stopped it.
    #[error("the operation was cancelled")]
    Cancelled,
    /// A newer worker or run writes to the same target.
    #[error("another worker writes there by now, so this one stopped")]
    TakenOver,
    /// The type cannot do this at all.
    #[error("this connector type cannot {0}")]
    Unsupported(String),
    /// The connector type itself is at fault.
    #[error(
        "the connector type failed while it was to {doing}; this is a defect, please report it"
    )]
    Defect {
        /// What it was doing, continuing a sentence: `read a stream`.
        doing: &'static str,
        /// What went wrong.
        #[source]
        source: Option<Cause>,
    },
}

impl Failure {
    /// What machines call it. To whoever only asked, a source that was not heard to the end is as good as one that is not there.
    pub const fn problem(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::InvalidConfig,
            Self::Unauthorized | Self::NeedReconnect(_) => Code::NeedReconnect,
            Self::Refused(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => Code::SourceRefused,
            Self::Unavailable { .. }
            | Self::NotNow(_)
            | Self::RateLimited { .. }
            | Self::Cancelled
            | Self::TakenOver => Code::SourceUnavailable,
            Self::Unsupported(_) => Code::TypeUnsupported,
            Self::Defect { .. } => Code::Internal,
        }
    }

    /// Whether the same request may succeed later with nothing changed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NotNow(_) | Self::RateLimited { .. } => true,
            Self::Invalid { .. }
            | Self::Unauthorized
            | Self::NeedReconnect(_)
            | Self::Refused(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Cancelled
            | Self::TakenOver
            | Self::Unsupported(_)
            | Self::Defect { .. } => false,
        }
    }

    /// The same, without the secrets that a careless type may have put into its texts.
    #[must_use]
    pub fn without(self, secrets: &Secrets) -> Self {
        let mask = |text| secrets.mask_in(text);
        match self {
            Self::Invalid { what, field, reason } => {
                let what = mask(what.into_owned()).into();
                Self::Invalid { what, field: mask(field), reason: mask(reason) }
            }
            Self::NeedReconnect(text) => Self::NeedReconnect(mask(text)),
            Self::Refused(text) => Self::Refused(mask(text)),
            Self::NotNow(text) => Self::NotNow(mask(text)),
            Self::NotFound(text) => Self::NotFound(mask(text)),
            Self::Unavailable { system, source } => {
                Self::Unavailable { system: mask(system), source }
            }
            Self::TooLarge { what, limit } => Self::TooLarge { what: mask(what), limit },
            Self::Malformed { what, line, reason } => {
                Self::Malformed { what: mask(what), line, reason: mask(reason) }
            }
            Self::Unsupported(text) => Self::Unsupported(mask(text)),
            Self::Unauthorized
            | Self::RateLimited { .. }
            | Self::Cancelled
            | Self::TakenOver
            | Self::Defect { .. } => self,
        }
    }

    /// A name for machines, which never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "source.invalid",
            Self::Unauthorized => "source.unauthorized",
            Self::NeedReconnect(_) => "source.need_reconnect",
            Self::Refused(_) => "source.refused",
            Self::NotFound(_) => "source.not_found",
            Self::Unavailable { .. } | Self::NotNow(_) => "source.unavailable",
            Self::RateLimited { .. } => "source.rate_limited",
            Self::TooLarge { .. } => "source.too_large",
            Self::Malformed { .. } => "source.malformed",
            Self::Cancelled => "source.cancelled",
            Self::TakenOver => "source.taken_over",
            Self::Unsupported(_) => "source.unsupported",
            Self::Defect { .. } => "source.defect",
        }
    }

    /// A setting that does not fit; `reason` continues the sentence "`field` …".
    pub fn setting(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { what: "settings".into(), field: field.into(), reason: reason.into() }
    }

    /// Something about the stream called `name` that does not fit; `reason` continues the sentence "`field` …".
    pub fn stream(
        name: impl fmt::Display,
        field: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        let what = format!("the stream `{name}`").into();
        Self::Invalid { what, field: field.into(), reason: reason.into() }
    }

    /// `system` does not answer, as `source` says.
    pub fn unavailable(system: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Unavailable { system: system.into(), source: Some(source.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn the_sentence_does_not_repeat_its_source() {
        let failure = Failure::unavailable("db.example.com", "password=hunter2");
        assert!(!failure.to_string().contains("hunter2"));
        assert!(failure.is_retryable());
    }

    #[test]
    fn a_malformed_line_is_named() {
        let what = "orders.csv".to_owned();
        let reason = "a field is missing".to_owned();
        let failure = Failure::Malformed { what, line: Some(7), reason };
        assert_eq!(failure.to_string(), "orders.csv cannot be read at line 7: a field is missing");
    }
}
