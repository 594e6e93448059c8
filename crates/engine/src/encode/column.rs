//! One column of a batch, ready to be written row by row.

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array,
    StringArray, UInt64Array,
    builder::StringBuilder,
    cast::AsArray,
    types::{Float32Type, Float64Type, Int64Type, UInt64Type},
};
use arrow_cast::cast;
use arrow_json::writer::{EncoderOptions, make_encoder};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use linkspan_domain::FieldKind;
use linkspan_sdk::{Failure, field_kind};
use serde::de::IgnoredAny;

use super::{
    text::push_string,
    when::{Zone, push_date, push_time, push_timestamp},
};

/// One column of a batch.
pub(super) struct Column {
    name: String,
    /// `"name":`
    label: String,
    array: ArrayRef,
    values: Values,
}

/// A value that is said to be JSON, and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

enum Values {
    Boolean(BooleanArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Single(Float32Array),
    Double(Float64Array),
    Text(StringArray),
    /// Texts that should be JSON.
    Json(StringArray),
    /// Texts that are JSON.
    Written(StringArray),
    Date(Int64Array),
    Time(Int64Array, TimeUnit),
    Timestamp(Int64Array, TimeUnit, Zone),
    Binary(BinaryArray),
}

impl Column {
    pub(super) fn new(field: &FieldRef, array: &ArrayRef) -> Result<Self, Failure> {
        let (array, values) = values(field, array).map_err(|source| Failure::Defect {
            doing: "turn a column into JSON",
            source: Some(source.into()),
        })?;
        let mut label = String::new();
        push_string(&mut label, field.name());
        label.push(':');
        Ok(Self { name: field.name().clone(), label, array, values })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Writes name and value of a row. What is no JSON although it should be is written as a string.
    pub(super) fn write_field(&self, row: usize, out: &mut String) -> Result<(), Unreadable> {
        out.push_str(&self.label);
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.values {
            Values::Text(values) => push_string(out, values.value(row)),
            Values::Json(values) => return write_json(values.value(row), out),
            Values::Boolean(_)
            | Values::Integer(_)
            | Values::Unsigned(_)
            | Values::Written(_) => self.write_plain(row, out),
            Values::Single(values) if values.value(row).is_finite() => self.write_plain(row, out),
            Values::Double(values) if values.value(row).is_finite() => self.write_plain(row, out),
            Values::Single(_)
            | Values::Double(_)
            | Values::Date(_)
            | Values::Time(..)
            | Values::Timestamp(..)
            | Values::Binary(_) => {
                out.push('"');
                self.write_plain(row, out);
                out.push('"');
            }
        }
        Ok(())
    }

    /// Writes the value of a row, which is not null, as text without quotes.
    pub(super) fn write_plain(&self, row: usize, out: &mut String) {
        match &self.values {
            Values::Boolean(values) => {
                out.push_str(if values.value(row) { "true" } else { "false" });
            }
            Values::Integer(values) => {
                out.push_str(itoa::Buffer::new().format(values.value(row)));
            }
            Values::Unsigned(values) => {
                out.push_str(itoa::Buffer::new().format(values.value(row)));
            }
            Values::Single(values) => write_float(values.value(row), out),
            Values::Double(values) => write_float(values.value(row), out),
            Values::Text(values) | Values::Json(values) | Values::Written(values) => {
                out.push_str(values.value(row));
            }
            Values::Date(values) => push_date(out, values.value(row)),
            Values::Time(values, unit) => push_time(out, values.value(row), *unit),
            Values::Timestamp(values, unit, zone) => {
                push_timestamp(out, values.value(row), *unit, *zone);
            }
            Values::Binary(values) => STANDARD.encode_string(values.value(row), out),
        }
    }
}

/// The spelling of numbers that are not finite is that of Protocol Buffers' JSON mapping and of PostgreSQL.
fn write_float(value: impl ryu::Float + Into<f64>, out: &mut String) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        out.push_str("NaN");
    } else if wide.is_infinite() {
        out.push_str(if wide > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        out.push_str(ryu::Buffer::new().format_finite(value));
    }
}

fn write_json(text: &str, out: &mut String) -> Result<(), Unreadable> {
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        out.push_str(text);
        Ok(())
    } else {
        push_string(out, text);
        Err(Unreadable)
    }
}

/// The values in one of the few forms that can be written, and the array that knows which of them are null.
fn values(field: &FieldRef, array: &ArrayRef) -> Result<(ArrayRef, Values), ArrowError> {
    let integers = |array: &ArrayRef| cast(array, &DataType::Int64);
    Ok(match (field_kind(field), array.data_type()) {
        (FieldKind::Boolean, _) => {
            let array = cast(array, &DataType::Boolean)?;
            (array.clone(), Values::Boolean(array.as_boolean().clone()))
        }
        (FieldKind::Integer, DataType::UInt64) => {
            (array.clone(), Values::Unsigned(array.as_primitive::<UInt64Type>().clone()))
        }
        (FieldKind::Integer, _) => {
            let array = integers(array)?;
            (array.clone(), Values::Integer(array.as_primitive().clone()))
        }
        (FieldKind::Number, DataType::Float16 | DataType::Float32) => {
            let array = cast(array, &DataType::Float32)?;
            (array.clone(), Values::Single(array.as_primitive::<Float32Type>().clone()))
        }
        (FieldKind::Number, _) => {
            let array = cast(array, &DataType::Float64)?;
            (array.clone(), Values::Double(array.as_primitive::<Float64Type>().clone()))
        }
        (FieldKind::Date, _) => {
            let days = cast(&cast(array, &DataType::Date32)?, &DataType::Int32)?;
            let array = integers(&days)?;
            (array.clone(), Values::Date(array.as_primitive().clone()))
        }
        (FieldKind::Time, DataType::Time32(unit)) => {
            let array = integers(&cast(array, &DataType::Int32)?)?;
            (array.clone(), Values::Time(array.as_primitive().clone(), *unit))
        }
        (FieldKind::Time, DataType::Time64(unit)) => {
            let array = integers(array)?;
            (array.clone(), Values::Time(array.as_primitive().clone(), *unit))
        }
        (FieldKind::Timestamp, DataType::Timestamp(unit, zone)) => {
            let zone = if zone.is_some() { Zone::Utc } else { Zone::Unknown };
            let array = integers(array)?;
            let ticks = array.as_primitive::<Int64Type>().clone();
            (array, Values::Timestamp(ticks, *unit, zone))
        }
        (FieldKind::Binary, _) => {
            let array = cast(array, &DataType::Binary)?;
            (array.clone(), Values::Binary(array.as_binary().clone()))
        }
        (FieldKind::Json, data_type) if data_type.is_nested() => {
            let array: ArrayRef = std::sync::Arc::new(written(field, array)?);
            (array.clone(), Values::Written(array.as_string().clone()))
        }
        (FieldKind::Json, _) => {
            let array = cast(array, &DataType::Utf8)?;
            (array.clone(), Values::Json(array.as_string().clone()))
        }
        (
            FieldKind::Text
            | FieldKind::Decimal
            | FieldKind::Uuid
            | FieldKind::Time
            | FieldKind::Timestamp,
            _,
        ) => {
            let array = cast(array, &DataType::Utf8)?;
            (array.clone(), Values::Text(array.as_string().clone()))
        }
    })
}

/// Lists, structures and maps, as JSON.
fn written(field: &FieldRef, array: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, array.as_ref(), &options)?;
    let mut texts = StringBuilder::with_capacity(array.len(), array.get_array_memory_size());
    let mut buffer = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            texts.append_null();
            continue;
        }
        buffer.clear();
        encoder.encode(row, &mut buffer);
        let text = std::str::from_utf8(&buffer);
        texts.append_value(text.map_err(|error| ArrowError::ExternalError(error.into()))?);
    }
    Ok(texts.finish())
}
