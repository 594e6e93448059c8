//! Maps the records of a file again and again, text to text on one thread, and prints one JSON object with the rate.

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use linkspan_engine::Mapping;
use serde_json::{json, value::RawValue};

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [expression, records, seconds] = &arguments[..] else {
        return Err("give the file of the expression, the file of the records, and seconds".into());
    };
    let mapping = Mapping::compile(&fs::read_to_string(expression)?)?;
    let records = fs::read_to_string(records)?;
    let lasts = Duration::from_secs(seconds.parse()?);
    let mut first = String::new();
    let mut count = 0_u32;
    let began = Instant::now();
    while began.elapsed() < lasts {
        for record in records.lines() {
            let mapped = black_box(mapping.evaluate(black_box(record))?);
            if first.is_empty() {
                first = mapped.objects.concat();
            }
            count += 1;
        }
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    let first: Box<RawValue> = RawValue::from_string(first)?;
    println!("{}", json!({ "records_per_second": rate, "first": first }));
    Ok(())
}
