//! What is where in a record, and how it becomes what a field of a model holds.

use linkspan_domain::{FieldKind, StreamField, StreamSpec};
use serde_json::Value;

use crate::mapping::{model::ModelKind, suggest::names::Tokens};

/// One place in the records of a stream.
pub(super) struct Place {
    /// The column of the stream.
    pub(super) column: String,
    /// Whether it is within the column's object.
    pub(super) is_nested: bool,
    /// The JSONata path.
    pub(super) path: String,
    /// What it may be called, and how much that counts.
    pub(super) names: Vec<(Tokens, f64)>,
    kind: FieldKind,
    is_nullable: bool,
    samples: Vec<Value>,
}

/// Objects that only wrap what the record is about: what is in them is as good as at the top.
const WRAPPERS: &[&str] = &["properties", "attributes", "fields", "data", "profile"];

/// The places of `stream`: its columns, and the fields of objects in them, as far as `samples` show any.
pub(super) fn places(stream: &StreamSpec, samples: &[Value]) -> Vec<Place> {
    let mut places = Vec::new();
    for field in stream.fields.iter().filter(|it| is_sayable(&it.name)) {
        let values = values_of(samples, &field.name);
        places.extend(nested(field, &values));
        places.push(Place {
            column: field.name.clone(),
            is_nested: false,
            path: quoted(&field.name),
            names: vec![(Tokens::of(&field.name), 1.0)],
            kind: field.kind,
            is_nullable: field.nullable,
            samples: values,
        });
    }
    places
}

fn nested(field: &StreamField, values: &[Value]) -> Vec<Place> {
    if field.kind != FieldKind::Json {
        return Vec::new();
    }
    let mut names: Vec<&String> = Vec::new();
    for name in values.iter().filter_map(Value::as_object).flat_map(|it| it.keys()) {
        if is_sayable(name) && !names.contains(&name) {
            names.push(name);
        }
    }
    let alone = if WRAPPERS.contains(&field.name.to_lowercase().as_str()) { 1.0 } else { 0.7 };
    names
        .into_iter()
        .map(|name| {
            let samples = values_of(values, name);
            Place {
                column: field.name.clone(),
                is_nested: true,
                path: format!("{}.{}", quoted(&field.name), quoted(name)),
                names: vec![
                    (Tokens::of(&format!("{} {name}", field.name)), 1.0),
                    (Tokens::of(name), alone),
                ],
                kind: kind_of(&samples),
                is_nullable: true,
                samples,
            }
        })
        .collect()
}

fn values_of(records: &[Value], name: &str) -> Vec<Value> {
    records.iter().filter_map(|it| it.get(name)).filter(|it| !it.is_null()).cloned().collect()
}

/// What `samples` of an object's field are.
fn kind_of(samples: &[Value]) -> FieldKind {
    let all = |test: fn(&Value) -> bool| !samples.is_empty() && samples.iter().all(test);
    if all(Value::is_boolean) {
        FieldKind::Boolean
    } else if all(|it| it.is_i64() || it.is_u64()) {
        FieldKind::Integer
    } else if all(Value::is_number) {
        FieldKind::Number
    } else if all(Value::is_string) {
        FieldKind::Text
    } else {
        FieldKind::Json
    }
}

/// Whether a path can name it: there is no way to write a backquote within backquotes.
fn is_sayable(name: &str) -> bool {
    !name.is_empty() && !name.contains('`')
}

/// A step of a path, in backquotes unless it is a plain word.
fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        && !["and", "or", "in", "true", "false", "null", "function"].contains(&name);
    if is_plain { name.to_owned() } else { format!("`{name}`") }
}

impl Place {
    /// The expression that makes a `wanted` of it, and how well that fits; nothing when it cannot.
    pub(super) fn convert(&self, wanted: &ModelKind) -> Option<(String, f64)> {
        let path = &self.path;
        let (expression, fitness) = match wanted {
            ModelKind::Text => (self.as_identifier()?, self.text_fitness()?),
            ModelKind::Choice(choices) => return self.choice(choices),
            ModelKind::Country => (format!("$uppercase({path})"), self.fits(is_country, 0.9)?),
            ModelKind::Currency => (format!("$uppercase({path})"), self.fits(is_currency, 0.95)?),
            ModelKind::Email => (path.clone(), self.fits(is_email, 0.95)?),
            ModelKind::Iban => {
                (format!("$uppercase($replace({path}, \" \", \"\"))"), self.fits(is_iban, 0.95)?)
            }
            ModelKind::Uri => (path.clone(), self.fits(is_uri, 0.9)?),
            ModelKind::Date => self.date()?,
            ModelKind::Timestamp => self.timestamp()?,
            ModelKind::Decimal => self.decimal()?,
            ModelKind::Integer if self.kind == FieldKind::Integer => (path.clone(), 1.0),
            ModelKind::Boolean if self.kind == FieldKind::Boolean => (path.clone(), 1.0),
            ModelKind::Integer | ModelKind::Boolean | ModelKind::List => return None,
        };
        Some((self.guarded(expression), fitness))
    }

    /// The expression of a text that is the same for the same thing.
    pub(super) fn as_identifier(&self) -> Option<String> {
        match self.kind {
            FieldKind::Text | FieldKind::Uuid | FieldKind::Decimal => Some(self.path.clone()),
            FieldKind::Integer => Some(format!("$string({})", self.path)),
            FieldKind::Date | FieldKind::Time | FieldKind::Timestamp => Some(self.path.clone()),
            FieldKind::Boolean | FieldKind::Number | FieldKind::Binary | FieldKind::Json => None,
        }
    }

    fn text_fitness(&self) -> Option<f64> {
        match self.kind {
            FieldKind::Text | FieldKind::Uuid => Some(1.0),
            FieldKind::Integer => Some(0.95),
            FieldKind::Decimal => Some(0.7),
            _ => None,
        }
    }

    /// A choice by the word for it, in lower case; words that are no choice leave the field empty.
    fn choice(&self, choices: &[String]) -> Option<(String, f64)> {
        let texts = self.texts()?;
        let word = |text: &str| text.trim().to_lowercase().replace([' ', '-'], "_");
        let known = texts.iter().filter(|text| choices.contains(&word(text))).count();
        let fitness = match (texts.len(), known) {
            (0, _) => 0.6,
            (_, 0) => return None,
            (all, known) if all == known => 0.95,
            _ => 0.6,
        };
        let words: Vec<String> = choices.iter().map(|it| format!("\"{it}\"")).collect();
        let word = format!("$replace($lowercase($trim({})), /[ -]/, \"_\")", self.path);
        let expression = format!("{word} in [{}] ? {word}", words.join(", "));
        Some((self.guarded_choice(&expression), fitness))
    }

    fn date(&self) -> Option<(String, f64)> {
        let path = &self.path;
        match self.kind {
            FieldKind::Date => Some((path.clone(), 1.0)),
            FieldKind::Timestamp => Some((format!("$substring({path}, 0, 10)"), 0.95)),
            FieldKind::Text => {
                let fitness = self.fits(|it| is_date(it) || is_timestamp(it), 0.5)?;
                Some((format!("$substring({path}, 0, 10)"), fitness))
            }
            FieldKind::Integer => {
                let (instant, fitness) = self.epoch()?;
                Some((format!("$substring({instant}, 0, 10)"), fitness))
            }
            _ => None,
        }
    }

    fn timestamp(&self) -> Option<(String, f64)> {
        match self.kind {
            FieldKind::Timestamp => Some((self.path.clone(), 1.0)),
            FieldKind::Text => Some((self.path.clone(), self.fits(is_timestamp, 0.5)?)),
            FieldKind::Date => Some((format!("({} & \"T00:00:00Z\")", self.path), 0.8)),
            FieldKind::Integer => self.epoch(),
            _ => None,
        }
    }

    /// Seconds or milliseconds since 1970, if that is what the samples can be.
    fn epoch(&self) -> Option<(String, f64)> {
        let within = |from: i64, to: i64| {
            !self.samples.is_empty()
                && self.samples.iter().all(|it| it.as_i64().is_some_and(|it| it >= from && it < to))
        };
        // From 1990 on, up to the year 2100.
        if within(631_152_000, 4_102_444_800) {
            Some((format!("$fromMillis({} * 1000)", self.path), 0.95))
        } else if within(631_152_000_000, 4_102_444_800_000) {
            Some((format!("$fromMillis({})", self.path), 0.95))
        } else {
            None
        }
    }

    fn decimal(&self) -> Option<(String, f64)> {
        let path = &self.path;
        match self.kind {
            FieldKind::Decimal => Some((path.clone(), 1.0)),
            FieldKind::Number => Some((format!("$string({path})"), 0.95)),
            // Many systems count cents: whoever knows the source has to say whether this one does.
            FieldKind::Integer => Some((format!("$string({path})"), 0.8)),
            FieldKind::Text => Some((path.clone(), self.fits(is_decimal, 0.6)?)),
            _ => None,
        }
    }

    /// How well the texts fit `test`: `unknown` without samples, nothing when one in ten does not.
    fn fits(&self, test: fn(&str) -> bool, unknown: f64) -> Option<f64> {
        let texts = self.texts()?;
        let misfits = texts.iter().filter(|text| !test(text.trim())).count();
        match (texts.len(), misfits) {
            (0, _) => Some(unknown),
            (_, 0) => Some(1.0),
            (all, misfits) if misfits * 10 < all => Some(0.7),
            _ => None,
        }
    }

    /// The samples that are not empty; nothing when the place holds no text.
    fn texts(&self) -> Option<Vec<&str>> {
        let texts =
            self.samples.iter().filter_map(Value::as_str).filter(|it| !it.trim().is_empty());
        (self.kind == FieldKind::Text).then(|| texts.collect())
    }

    /// Functions refuse null, and a model has no null: what may be null is left out then.
    fn guarded(&self, expression: String) -> String {
        if !self.is_nullable {
            expression
        } else if self.kind == FieldKind::Text {
            // An empty text says as little as null.
            format!("{} ? {expression}", self.path)
        } else if expression.contains('&') {
            format!("{} ? {expression}", self.path)
        } else {
            format!("{} != null ? {expression}", self.path)
        }
    }

    fn guarded_choice(&self, expression: &str) -> String {
        if self.is_nullable {
            format!("{} ? ({expression})", self.path)
        } else {
            expression.to_owned()
        }
    }
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|it| it.is_ascii_alphabetic())
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|it| it.is_ascii_alphabetic())
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(who, host)| {
        !who.is_empty()
            && host.contains('.')
            && !host.contains('@')
            && !text.contains(char::is_whitespace)
    })
}

fn is_iban(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|it| *it != b' ').collect();
    (15..=34).contains(&text.len())
        && text[..2].iter().all(u8::is_ascii_alphabetic)
        && text[2..4].iter().all(u8::is_ascii_digit)
        && text[4..].iter().all(u8::is_ascii_alphanumeric)
}

fn is_uri(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, it)| match at {
            4 | 7 => it == b'-',
            _ => it.is_ascii_digit(),
        })
}

fn is_timestamp(text: &str) -> bool {
    text.is_char_boundary(10)
        && text.len() >= 20
        && is_date(&text[..10])
        && text[10..].starts_with('T')
        && (text.ends_with('Z') || text.get(19..).is_some_and(|it| it.contains(['+', '-'])))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    is_number(whole) && is_number(fraction) && (whole.len() == 1 || !whole.starts_with('0'))
}
