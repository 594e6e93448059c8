//! Checking what people hand in, without repeating it.

use jsonschema::{
    Draft, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Failure;

/// One thing that is wrong with settings or parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsFault {
    /// Where, as a JSON pointer: `/auth/token`; the whole value is the empty pointer.
    pub pointer: String,
    /// What is wrong, continuing a sentence: `is required`, `must be a number`. Quotes no value.
    pub message: String,
}

/// What is wrong with `value` according to `schema`, a JSON Schema 2020-12. Empty when it fits.
pub fn validate_config(schema: &Value, value: &Value) -> Vec<SettingsFault> {
    Checker::new(schema).faults(value)
}

/// Reads a `T`; `what` names the value in messages. Serde's own message may quote a misplaced
/// secret, so only the path survives.
pub fn parse<T: DeserializeOwned>(what: &'static str, value: Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(value).map_err(|error| Failure::Invalid {
        what: what.into(),
        field: error.path().to_string(),
        reason: "has a value that does not fit".to_owned(),
    })
}

/// A schema made ready for use.
#[derive(Debug)]
pub struct Checker(Option<Validator>);

impl Checker {
    /// Makes `schema`, a JSON Schema 2020-12, ready. If it is none, nothing fits it.
    pub fn new(schema: &Value) -> Self {
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        Self(options.should_validate_formats(true).build(schema).ok())
    }

    /// What is wrong with `value`, by place. Empty when it fits.
    pub fn faults(&self, value: &Value) -> Vec<SettingsFault> {
        let Some(validator) = &self.0 else {
            return vec![fault(
                "",
                "cannot be checked: the schema of the connector type is not valid",
            )];
        };
        let mut all: Vec<_> = validator.iter_errors(value).flat_map(|it| faults(&it)).collect();
        all.sort_by(|one, other| one.pointer.cmp(&other.pointer));
        all
    }

    /// What is wrong with `value`, as one failure: that of the first field, which tells of the others too.
    pub(crate) fn pass(&self, what: &'static str, value: &Value) -> Result<(), Failure> {
        let mut faults = self.faults(value).into_iter();
        let Some(first) = faults.next() else { return Ok(()) };
        let others = faults.map(|it| format!("; `{}` {}", it.field(), it.message));
        let reason = [first.message.clone()].into_iter().chain(others).collect();
        Err(Failure::Invalid { what: what.into(), field: first.field(), reason })
    }
}

impl SettingsFault {
    /// The place as people write it: `auth.token`, and a dot for the whole.
    fn field(&self) -> String {
        let field = self.pointer.trim_start_matches('/').replace('/', ".");
        if field.is_empty() { ".".to_owned() } else { field }
    }
}

impl From<Failure> for SettingsFault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid { field, reason, .. } if field == "." => fault("", reason),
            Failure::Invalid { field, reason, .. } => {
                fault(format!("/{}", field.replace('.', "/")), reason)
            }
            other => fault("", other.to_string()),
        }
    }
}

fn fault(pointer: impl Into<String>, message: impl Into<String>) -> SettingsFault {
    SettingsFault { pointer: pointer.into(), message: message.into() }
}

/// The validator's own messages quote the value; these are made from the schema's side alone.
fn faults(error: &ValidationError<'_>) -> Vec<SettingsFault> {
    use ValidationErrorKind as Kind;

    let at = error.instance_path().as_str();
    let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    let message = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            return unexpected.iter().map(|it| fault(below(it), "is not a known field")).collect();
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            return vec![fault(below(name), "is required")];
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match meant(context, at) {
            Some(branch) => return branch.iter().flat_map(faults).collect(),
            None => return vec![none_of(context, at)],
        },
        Kind::Type { kind: TypeKind::Single(one) } => format!("must be of type {one}"),
        Kind::Type { kind: TypeKind::Multiple(_) } => "has the wrong type".to_owned(),
        Kind::Enum { options } => format!("must be one of {}", listed(options)),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Format { format } => format!("is not a valid {format}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::Pattern { pattern } => format!("must match {pattern}"),
        Kind::UniqueItems => "must not repeat an item".to_owned(),
        other => format!("breaks the rule `{}` of its schema", other.keyword()),
    };
    vec![fault(at, message)]
}

/// The one branch of a choice that the value was meant for: whose tag it carries.
fn meant<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    at: &str,
) -> Option<&'a [ValidationError<'static>]> {
    let mut fitting = context.iter().filter(|errors| {
        !errors.iter().any(|error| match error.kind() {
            ValidationErrorKind::Constant { .. } => true,
            ValidationErrorKind::Type { .. } => error.instance_path().as_str() == at,
            _ => false,
        })
    });
    fitting.next().filter(|_| fitting.next().is_none()).map(Vec::as_slice)
}

/// That no branch fits; if they differ in a tag, that the tag is wrong.
fn none_of(context: &[Vec<ValidationError<'static>>], at: &str) -> SettingsFault {
    let constants = context.iter().flatten().filter_map(|error| match error.kind() {
        ValidationErrorKind::Constant { expected_value } => {
            Some((error.instance_path().as_str(), expected_value.to_string()))
        }
        _ => None,
    });
    let (places, tags): (Vec<_>, Vec<_>) = constants.unzip();
    match places.first() {
        Some(&place) if tags.len() == context.len() && places.iter().all(|it| *it == place) => {
            fault(place, format!("must be one of {}", tags.join(", ")))
        }
        _ => fault(at, "has none of the forms that are allowed"),
    }
}

fn listed(options: &Value) -> String {
    let options = options.as_array().map_or(&[][..], Vec::as_slice);
    options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use linkspan_domain::Secret;
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{parse, validate_config};
    use crate::schema_of;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Settings {
        host: String,
        #[schemars(range(min = 1))]
        port: u16,
        mode: Option<Mode>,
        auth: Option<Auth>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Slow,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Auth {
        None,
        Bearer { token: Secret },
        Basic { username: String, password: Secret },
    }

    fn check(value: &Value, expect: &[(&str, &str)]) {
        let faults = validate_config(&schema_of::<Settings>(), value);
        let faults: Vec<_> =
            faults.iter().map(|it| (it.pointer.as_str(), it.message.as_str())).collect();
        assert_eq!(faults, expect, "{value}");
    }

    #[test]
    fn each_fault_has_its_place_and_quotes_nothing() {
        check(&json!({ "host": "h", "port": 1 }), &[]);
        check(&json!({ "port": 1 }), &[("/host", "is required")]);
        check(&json!({ "host": "h", "port": "s3cr3t" }), &[("/port", "must be of type integer")]);
        check(&json!({ "host": "h", "port": 0 }), &[("/port", "must be at least 1")]);
        check(&json!({ "host": "h", "port": 1, "x": "s" }), &[("/x", "is not a known field")]);
    }

    #[test]
    fn a_choice_is_judged_by_the_branch_that_was_meant() {
        let with = |auth: Value| json!({ "host": "h", "port": 1, "auth": auth });
        check(&with(json!({ "kind": "bearer", "token": "t" })), &[]);
        check(&with(json!({ "kind": "bearer" })), &[("/auth/token", "is required")]);
        check(
            &with(json!({ "kind": "basic", "username": "u", "password": ["s3cr3t"] })),
            &[("/auth/password", "must be of type string")],
        );
        check(
            &with(json!({ "kind": "s3cr3t" })),
            &[("/auth/kind", r#"must be one of "none", "bearer", "basic""#)],
        );
        check(
            &json!({ "host": "h", "port": 1, "mode": "s3cr3t" }),
            &[("/mode", r#"must be one of "fast", "slow", null"#)],
        );
    }

    #[test]
    fn a_value_that_serde_refuses_is_not_quoted() {
        let failure = parse::<Settings>("settings", json!({ "host": "h", "port": "s3cr3t" }));
        let failure = failure.unwrap_err();
        assert_eq!(failure.to_string(), "settings: `port` has a value that does not fit");
        assert!(!format!("{failure:?}").contains("s3cr3t"));
    }
}
