//! Proposals of mappings: from what a stream looks like to an expression for a target model.

mod names;
mod shape;

use std::{cmp::Ordering, collections::BTreeSet};

use linkspan_domain::{StreamSpec, TargetModel};
use serde_json::Value;

use self::{
    names::{Tokens, affinity, likeness},
    shape::{Place, places},
};
use crate::mapping::model::ModelSchema;

/// A proposed mapping. The same stream, samples and model always give the same proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What the records become.
    pub model: TargetModel,
    /// The JSONata expression of one object.
    pub expression: String,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// What fills which field, in the order of the model.
    pub fields: Vec<FieldSuggestion>,
    /// What might fill a field, but not surely enough to be part of the expression.
    pub doubtful: Vec<FieldSuggestion>,
    /// The fields that the model requires and nothing fills.
    pub missing: Vec<String>,
}

/// What fills one field of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSuggestion {
    /// The field of the model.
    pub field: String,
    /// The path in the record, or several that are joined.
    pub sources: Vec<String>,
    /// The JSONata expression.
    pub expression: String,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
}

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is sure enough to be used.
    Applied,
    /// A person should look at it first.
    Proposed,
    /// It is of no use.
    Refused,
}

impl Verdict {
    /// From here on a proposal is used without asking.
    pub const SURE: f64 = 0.85;

    /// From here on it is worth looking at.
    pub const PLAUSIBLE: f64 = 0.55;

    /// What becomes of a proposal of this `confidence`.
    pub fn of(confidence: f64) -> Self {
        if confidence >= Self::SURE {
            Self::Applied
        } else if confidence >= Self::PLAUSIBLE {
            Self::Proposed
        } else {
            Self::Refused
        }
    }
}

impl Suggestion {
    /// What becomes of it.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self.confidence)
    }
}

/// The most samples that are looked at.
const SAMPLES: usize = 100;

/// So many fields beyond the identifier and the times make a stream look like a model.
const TELLING: u32 = 4;

/// Proposes a mapping from `stream`, of which `samples` are records, to the model of `schema`.
pub fn suggest(stream: &StreamSpec, samples: &[Value], schema: &ModelSchema) -> Suggestion {
    let samples = &samples[..samples.len().min(SAMPLES)];
    let stream_name = Tokens::of(stream.name.as_str());
    let places = places(stream, samples);
    let mut candidates = candidates(&places, schema, &stream_name);
    candidates.extend(identity(stream, &places));
    let chosen = choose(candidates);
    let (mut fields, mut doubtful) = (Vec::new(), Vec::new());
    for (name, _) in &schema.fields {
        let Some(choice) = chosen.iter().find(|it| it.field == *name) else { continue };
        let enough =
            if schema.required.contains(name) { Verdict::PLAUSIBLE } else { Verdict::SURE };
        let list = if choice.confidence >= enough { &mut fields } else { &mut doubtful };
        list.push(choice.clone());
    }
    let is_filled = |name: &String| fields.iter().any(|it| it.field == *name);
    let missing: Vec<String> =
        schema.required.iter().filter(|name| !is_filled(name)).cloned().collect();
    let affinity = affinity(&stream_name, &schema.aliases);
    Suggestion {
        model: schema.model,
        expression: expression(&fields),
        confidence: confidence(&fields, missing.len(), affinity, schema),
        fields,
        doubtful,
        missing,
    }
}

/// Every pair of a place in the record and a field of the model that could belong together.
fn candidates(places: &[Place], schema: &ModelSchema, stream: &Tokens) -> Vec<FieldSuggestion> {
    let mut found = Vec::new();
    for (name, field) in &schema.fields {
        let names = std::iter::once(name).chain(&field.aliases).map(|it| Tokens::of(it));
        let names: Vec<Tokens> = names.collect();
        let qualifiers: Vec<Tokens> = std::iter::once(stream.clone())
            .chain(schema.aliases.iter().map(|alias| Tokens::of(alias)))
            .collect();
        for place in places {
            let likeness = likeness(&place.names, &names, &qualifiers);
            if likeness < 0.4 {
                continue;
            }
            if let Some((expression, fitness)) = place.convert(&field.kind) {
                found.push(FieldSuggestion {
                    field: name.clone(),
                    sources: vec![place.path.clone()],
                    expression,
                    confidence: rounded(likeness * fitness),
                });
            }
        }
    }
    found
}

/// The key of the stream identifies what the record becomes.
fn identity(stream: &StreamSpec, places: &[Place]) -> Option<FieldSuggestion> {
    let parts: Option<Vec<(String, String)>> = stream
        .primary_key
        .iter()
        .map(|column| {
            let place = places.iter().find(|place| place.column == *column && !place.is_nested)?;
            Some((place.path.clone(), place.as_identifier()?))
        })
        .collect();
    let (sources, texts): (Vec<String>, Vec<String>) = parts?.into_iter().unzip();
    let confidence = match texts.len() {
        0 => return None,
        1 => 1.0,
        _ => 0.9,
    };
    let expression = texts.join(" & \":\" & ");
    Some(FieldSuggestion { field: "external_id".to_owned(), sources, expression, confidence })
}

/// The surest candidates first, each field and each place once; the identifier may be used again.
fn choose(mut candidates: Vec<FieldSuggestion>) -> Vec<FieldSuggestion> {
    // A stable sort: among equals the order of the model, then that of the stream, decides.
    candidates.sort_by(|a, b| b.confidence.partial_cmp(&a.confidence).unwrap_or(Ordering::Equal));
    let mut used = BTreeSet::new();
    let mut chosen: Vec<FieldSuggestion> = Vec::new();
    for candidate in candidates {
        let is_identity = candidate.field == "external_id";
        let is_free = is_identity || candidate.sources.iter().all(|it| !used.contains(it));
        if is_free && chosen.iter().all(|it| it.field != candidate.field) {
            if !is_identity {
                used.extend(candidate.sources.iter().cloned());
            }
            chosen.push(candidate);
        }
    }
    chosen
}

/// How sure the whole is: no surer than the weakest field that the model requires.
fn confidence(
    fields: &[FieldSuggestion],
    missing: usize,
    affinity: f64,
    schema: &ModelSchema,
) -> f64 {
    let is_required = |it: &&FieldSuggestion| schema.required.contains(&it.field);
    let weakest = fields.iter().filter(is_required).map(|it| it.confidence).fold(1.0, f64::min);
    let telling = fields
        .iter()
        .filter(|it| !["external_id", "created_at", "updated_at"].contains(&it.field.as_str()))
        .count();
    let breadth =
        f64::from(u32::try_from(telling).unwrap_or(TELLING).min(TELLING)) / f64::from(TELLING);
    let (sum, weight) = fields.iter().fold((0.0, 0.0), |(sum, weight), it| {
        let counts = if is_required(&it) { 2.0 } else { 1.0 };
        (sum + counts * it.confidence, weight + counts)
    });
    if weight == 0.0 {
        return 0.0;
    }
    let all = 0.5 * sum / weight + 0.25 * affinity + 0.25 * breadth;
    // Without a field that is required there is no object of the model.
    let whole = if missing == 0 { 1.0 } else { 0.5 };
    rounded(all.min(weakest) * whole)
}

fn expression(fields: &[FieldSuggestion]) -> String {
    let lines: Vec<String> =
        fields.iter().map(|it| format!("  \"{}\": {}", it.field, it.expression)).collect();
    if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n}}", lines.join(",\n")) }
}

/// Three digits are all that such a figure can mean.
fn rounded(confidence: f64) -> f64 {
    (confidence.clamp(0.0, 1.0) * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
