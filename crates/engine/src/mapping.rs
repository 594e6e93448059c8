//! Mappings: JSONata expressions that turn a record into objects of a target model.

mod batch;
mod model;
mod payload;
mod reason;
mod suggest;

use std::{fmt, io, time::Duration};

pub use self::{
    batch::{MapError, MapFault, map_all},
    model::{InvalidModels, ModelField, ModelKind, ModelSchema, Models},
    suggest::{FieldSuggestion, Suggestion, Verdict, suggest},
};

use jsonata_core::{
    Expression,
    evaluator::{EvaluatorError, EvaluatorOptions},
    value::JValue,
};

/// A compiled JSONata expression that turns one record into none, one or several objects.
///
/// It stays in the thread that compiled it, as the values it works with are not shared between threads: whoever maps
/// a batch in the background sends the expression there, compiles it, and maps the batch in one go.
///
/// ```
/// use linkspan_engine::Mapping;
///
/// let mapping = Mapping::compile(r#"{ "name": first & " " & last, "email": $lowercase(mail) }"#).unwrap();
/// let mapped = mapping.evaluate(r#"{ "first": "Ada", "last": "L.", "mail": "ADA@EXAMPLE.COM" }"#).unwrap();
/// assert_eq!(mapped.objects, [r#"{"name":"Ada L.","email":"ada@example.com"}"#]);
/// ```
pub struct Mapping {
    expression: Expression,
    limits: MappingLimits,
}

/// What one evaluation of a mapping may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingLimits {
    /// How long it may take.
    pub timeout: Duration,
    /// How deep calls may nest.
    pub depth: usize,
    /// How many items a sequence that it makes may have.
    pub items: usize,
    /// The largest record that it takes, in bytes.
    pub payload: usize,
    /// The most that it may give back for one record, in bytes.
    pub mapped: usize,
}

/// What a record becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Each is one JSON object, as text; a record that the mapping leaves out becomes none.
    pub objects: Vec<String>,
}

/// The code that JSONata gives to what went wrong: a letter and four digits, such as `T2001`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JsonataCode([u8; 5]);

/// An expression that cannot be a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    /// There is nothing in it.
    #[error("the mapping is empty; write a JSONata expression such as `{{ \"name\": name }}`")]
    Empty,
    /// Nobody writes so much by hand.
    #[error("the mapping has {length} bytes, the limit is {limit}; make it shorter")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Its brackets nest deeper than anything that one can read.
    #[error("the mapping nests more than {limit} brackets; give its parts names with `:=`")]
    TooDeep {
        /// How many may nest.
        limit: usize,
    },
    /// It is not JSONata.
    #[error("the mapping is not JSONata: {}", reason::of_syntax(*.0))]
    Syntax(Option<JsonataCode>),
}

/// Why a mapping has no result for a record. None of them repeats what is in the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingFailure {
    /// The record is larger than mappings take.
    #[error("the record has {length} bytes, a mapping takes up to {limit}")]
    PayloadTooLarge {
        /// How large it is.
        length: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The record is no JSON, or nests too deep to be read.
    #[error("the record is not JSON that a mapping can read")]
    Unreadable,
    /// It takes too long.
    #[error("the mapping took more than {} ms for one record; look for a loop in it", .0.as_millis())]
    TimedOut(Duration),
    /// It calls itself too often.
    #[error("the mapping calls itself too often; look for a function that never ends")]
    TooDeep,
    /// It makes too much of one record.
    #[error("the mapping makes a sequence of more than {0} items of one record")]
    TooManyItems(usize),
    /// It makes too much of one record.
    #[error("the mapping makes more than {0} bytes of one record")]
    MappedTooLarge(usize),
    /// An operator or function cannot work with the record's values.
    #[error("the mapping cannot work with the values of the record: {}", reason::of_failure(*.0))]
    Failed(Option<JsonataCode>),
    /// It gives something that is no object of a model.
    #[error("the mapping gives {0}; it must give an object, several, or nothing")]
    NotAnObject(ValueKind),
}

/// What a value is, without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
pub enum ValueKind {
    /// `null`.
    #[strum(to_string = "null")]
    Null,
    /// `true` or `false`.
    #[strum(to_string = "a boolean")]
    Boolean,
    /// A number.
    #[strum(to_string = "a number")]
    Number,
    /// A text.
    #[strum(to_string = "a text")]
    Text,
    /// An array within an array.
    #[strum(to_string = "an array of arrays")]
    Array,
    /// A function or a regular expression.
    #[strum(to_string = "a function")]
    Function,
}

impl Default for MappingLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            depth: 2_000,
            items: 100_000,
            payload: 16 * 1024 * 1024,
            mapped: 16 * 1024 * 1024,
        }
    }
}

impl Mapping {
    /// The longest expression, in bytes.
    pub const LONGEST: usize = 64 * 1024;

    /// How deep the brackets of an expression may nest.
    pub const DEEPEST: usize = 100;

    /// Compiles `expression`, with the usual limits.
    pub fn compile(expression: &str) -> Result<Self, InvalidMapping> {
        Self::compile_within(expression, MappingLimits::default())
    }

    /// Compiles `expression`, to be evaluated within `limits`.
    pub fn compile_within(expression: &str, limits: MappingLimits) -> Result<Self, InvalidMapping> {
        if expression.trim().is_empty() {
            return Err(InvalidMapping::Empty);
        }
        if expression.len() > Self::LONGEST {
            return Err(InvalidMapping::TooLong { length: expression.len(), limit: Self::LONGEST });
        }
        // The parser recurses, so what it may meet is bounded before it begins.
        if nesting(expression) > Self::DEEPEST {
            return Err(InvalidMapping::TooDeep { limit: Self::DEEPEST });
        }
        let options = EvaluatorOptions {
            timeout_ms: Some(u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX)),
            cancel: None,
            max_stack_depth: Some(limits.depth),
            max_sequence_length: Some(limits.items),
        };
        let expression = Expression::compile_with_options(expression, options)
            .map_err(|error| InvalidMapping::Syntax(JsonataCode::of(&error.to_string())))?;
        Ok(Self { expression, limits })
    }

    /// Maps one record, a JSON text.
    ///
    /// Whole numbers that a floating-point number cannot hold reach the expression as texts, so that identifiers
    /// stay what they are.
    pub fn evaluate(&self, payload: &str) -> Result<Mapped, MappingFailure> {
        let MappingLimits { payload: limit, .. } = self.limits;
        if payload.len() > limit {
            return Err(MappingFailure::PayloadTooLarge { length: payload.len(), limit });
        }
        let record = payload::read(payload).map_err(|_| MappingFailure::Unreadable)?;
        let value = self.expression.evaluate(&record).map_err(|error| self.failure(&error))?;
        self.mapped(&value)
    }

    fn mapped(&self, value: &JValue) -> Result<Mapped, MappingFailure> {
        let mut left = self.limits.mapped;
        let objects = match value {
            JValue::Undefined => Vec::new(),
            JValue::Array(items) => items
                .iter()
                .filter(|item| !item.is_undefined())
                .map(|item| self.object(item, &mut left))
                .collect::<Result<_, _>>()?,
            one => vec![self.object(one, &mut left)?],
        };
        Ok(Mapped { objects })
    }

    /// The text of `value`, an object; what it takes is no longer `left`.
    fn object(&self, value: &JValue, left: &mut usize) -> Result<String, MappingFailure> {
        if let Some(kind) = ValueKind::other_than_object(value) {
            return Err(MappingFailure::NotAnObject(kind));
        }
        // Parts that are shared in memory are written out each time, so the text is bounded as it grows.
        let mut text = Bounded { bytes: Vec::with_capacity(USUAL), left: *left };
        serde_json::to_writer(&mut text, value)
            .map_err(|_| MappingFailure::MappedTooLarge(self.limits.mapped))?;
        *left = text.left;
        String::from_utf8(text.bytes).map_err(|_| MappingFailure::Failed(None))
    }

    fn failure(&self, error: &EvaluatorError) -> MappingFailure {
        let code = JsonataCode::of(error.message());
        match code.as_ref().map(JsonataCode::as_str) {
            Some("D1012") => MappingFailure::TimedOut(self.limits.timeout),
            Some("D1011" | "U1001") => MappingFailure::TooDeep,
            Some("D2014" | "D2015") => MappingFailure::TooManyItems(self.limits.items),
            _ => MappingFailure::Failed(code),
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl JsonataCode {
    /// The code as JSONata writes it.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The code in what the evaluator or the parser says.
    pub fn of(message: &str) -> Option<Self> {
        let message = message.strip_prefix("Invalid syntax: ").unwrap_or(message);
        if let Some((_, code)) = UNCODED.iter().find(|(start, _)| message.starts_with(start)) {
            return Some(Self(**code));
        }
        let (code, _) = message.split_once(':')?;
        let code: [u8; 5] = code.as_bytes().try_into().ok()?;
        let [letter, digits @ ..] = code;
        let is_code = b"DSTU".contains(&letter) && digits.iter().all(u8::is_ascii_digit);
        is_code.then_some(Self(code))
    }
}

/// What is said without its code.
const UNCODED: [(&str, &[u8; 5]); 3] = [
    ("Invalid number", b"S0102"),
    ("Unclosed comment", b"S0106"),
    ("Signature validation failed", b"T0410"),
];

impl fmt::Display for JsonataCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ValueKind {
    fn other_than_object(value: &JValue) -> Option<Self> {
        match value {
            JValue::Object(_) => None,
            JValue::Null | JValue::Undefined => Some(Self::Null),
            JValue::Bool(_) => Some(Self::Boolean),
            JValue::Number(_) => Some(Self::Number),
            JValue::String(_) => Some(Self::Text),
            JValue::Array(_) => Some(Self::Array),
            JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => {
                Some(Self::Function)
            }
        }
    }
}

/// Room for so much text is made at once.
const USUAL: usize = 512;

/// How deep the brackets of `expression` nest, at most: those within texts and comments are counted as well.
fn nesting(expression: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in expression.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A text that refuses to grow beyond what is left.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(part.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
