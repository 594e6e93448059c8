//! What every connector type must keep, as functions for its tests.
//!
//! Each function answers with the list of what it found wrong, so that a test reads
//! `assert_eq!(conformance::of_manifest(&definition, &[]), [""; 0])`.

mod reading;
mod stated;
mod writing;

use std::error::Error;

use linkspan_domain::StreamName;
use serde_json::{Value, json};

pub use reading::of_source;
pub use stated::of_manifest;
pub use writing::{Held, of_sink};

use crate::{CursorSpec, Definition, Environment, Failure};

/// A connector type with settings that work where the test runs.
pub struct Subject {
    /// The type.
    pub definition: Definition,
    /// What it runs in.
    pub environment: Environment,
    /// Settings that work.
    pub settings: Value,
    /// Settings that must fail: wrong credentials, nobody at home.
    pub refused: Vec<Value>,
    /// Streams to read incrementally, and by what.
    pub cursors: Vec<(StreamName, CursorSpec)>,
}

/// Stands for a secret that someone put where it does not belong.
const PLANTED: &str = "pl4nted-s3cret";

/// What is wrong with how the type takes settings, good ones and bad ones.
///
/// Settings that do not fit end in [`Failure::Invalid`], refused ones in a failure that is not a
/// defect; neither repeats a secret.
pub async fn of_check(subject: &Subject) -> Vec<String> {
    let Subject { definition, environment, settings, refused, .. } = subject;
    let mut faults = Vec::new();
    if let Err(failure) = definition.check(settings.clone(), environment.clone()).await {
        faults.push(format!("good settings are refused: {}", said(&failure)));
    }
    for settings in refused {
        match definition.check(settings.clone(), environment.clone()).await {
            Ok(_) => faults.push("settings that cannot work pass the check".to_owned()),
            Err(failure @ Failure::Defect { .. }) => {
                faults.push(format!("bad settings end in a defect: {}", said(&failure)));
            }
            Err(failure) => {
                let said = said(&failure);
                let secrets = secrets(definition, settings);
                if secrets.iter().any(|it| said.contains(it.as_str())) {
                    faults.push("a refusal repeats a secret".to_owned());
                }
            }
        }
    }
    faults.extend(misplaced(definition, environment, settings).await);
    faults
}

/// Puts a secret in each place where it does not fit.
async fn misplaced(
    definition: &Definition,
    environment: &Environment,
    settings: &Value,
) -> Vec<String> {
    let schema = definition.manifest.config_schema.as_value();
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
    let mut faults = Vec::new();
    for field in fields.map(String::as_str).chain(["unknown_field"]) {
        let mut bad = settings.clone();
        bad[field] = json!([{ PLANTED: [PLANTED] }]);
        let listed = format!("{:?}", definition.faults(&bad, environment.flow));
        if listed.contains(&format!("\"{PLANTED}\"")) {
            faults.push(format!("the faults of `{field}` repeat its value"));
        }
        match definition.check(bad, environment.clone()).await {
            Err(failure @ Failure::Invalid { .. }) => {
                if said(&failure).contains(PLANTED) {
                    faults.push(format!("the refusal of a bad `{field}` repeats its value"));
                }
            }
            Err(failure) => faults.push(format!("a bad `{field}` ends in {}", failure.code())),
            Ok(_) => faults.push(format!("a bad `{field}` is accepted")),
        }
    }
    faults
}

/// The texts of `settings` that are secret.
fn secrets(definition: &Definition, settings: &Value) -> Vec<String> {
    let Value::Object(settings) = settings else { return Vec::new() };
    let Ok(split) = definition.manifest.config_schema.split(settings.clone()) else {
        return Vec::new();
    };
    let pointers = split.secrets.pointers();
    let secrets = pointers.iter().filter_map(|it| split.secrets.get(it));
    secrets.map(|it| it.expose().clone()).filter(|it| it.len() > 3).collect()
}

/// Everything that a failure says, to people and to logs.
fn said(failure: &Failure) -> String {
    let mut all = format!("{failure} {failure:?}");
    let mut next = failure.source();
    while let Some(source) = next {
        all = format!("{all} {source} {source:?}");
        next = source.source();
    }
    all
}
