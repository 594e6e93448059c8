//! What a command says: tables and sentences for people, one JSON object for machines.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::exit::Failed;

/// Where a command speaks.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    /// Whether a machine has its last line: nothing may follow it.
    has_answered: AtomicBool,
}

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// For a machine.
    Json,
}

impl Output {
    /// Speaks in `format`.
    pub(crate) const fn new(format: Format) -> Self {
        Self { format, has_answered: AtomicBool::new(false) }
    }

    /// Whether a person is there to see progress.
    pub(crate) fn shows_progress(&self) -> bool {
        self.format == Format::Human && io::stderr().is_terminal()
    }

    /// Says something on the way. Machines get it on standard error.
    pub(crate) fn say(&self, text: &str) {
        match self.format {
            Format::Human => line(&mut io::stdout().lock(), text),
            Format::Json => line(&mut io::stderr().lock(), text),
        }
    }

    /// The answer: a table for a person, one object for a machine.
    pub(crate) fn answer(&self, human: impl FnOnce() -> String, machine: &Value) {
        match self.format {
            Format::Human => line(&mut io::stdout().lock(), &human()),
            Format::Json => self.last_line(machine),
        }
    }

    /// The answer of a command whose standard output carries records: it goes to standard error for a person.
    pub(crate) fn answer_beside_records(&self, human: impl FnOnce() -> String, machine: &Value) {
        match self.format {
            Format::Human => line(&mut io::stderr().lock(), &human()),
            Format::Json => self.last_line(machine),
        }
    }

    fn last_line(&self, machine: &Value) {
        self.has_answered.store(true, Ordering::Relaxed);
        line(&mut io::stdout().lock(), &machine.to_string());
    }

    /// Why it did not work.
    pub(crate) fn failed(&self, failed: &Failed) {
        line(&mut io::stderr().lock(), &format!("linkspan: {}", failed.message));
        if self.format == Format::Json && !self.has_answered.load(Ordering::Relaxed) {
            let machine = json!({ "error": failed.message, "exit": failed.exit as u8 });
            line(&mut io::stdout().lock(), &machine.to_string());
        }
    }
}

/// What a person should know, whatever the answer is.
pub(crate) fn note(text: &str) {
    line(&mut io::stderr().lock(), &format!("note: {text}"));
}

/// Says a document as it is, whoever reads it.
pub(crate) fn document(text: &str) {
    line(&mut io::stdout().lock(), text.trim_end());
}

/// Writes a line. A reader that went away, as `head` does, is no reason to fail.
fn line(to: &mut impl Write, text: &str) {
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

/// Rows under a header, as wide as the terminal.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    arranged(header, rows).to_string()
}

/// The same for rows with sentences, which are hard to read in long lines.
pub(crate) fn prose<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    /// So many characters fit into a line.
    const MOST: u16 = 100;
    let mut table = arranged(header, rows);
    table.set_width(table.width().map_or(MOST, |it| it.min(MOST)));
    table.to_string()
}

fn arranged<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table
}

/// So many of something: 1 record, 2,000 records.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", thousands(number))
}

/// A number as people read it: 1,234,567.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        let said = [0, 999, 1_000, 1_234_567].map(super::thousands);
        assert_eq!(said, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn one_is_no_plural() {
        let said = [0, 1, 2_000].map(|it| super::counted(it, "record"));
        assert_eq!(said, ["0 records", "1 record", "2,000 records"]);
    }
}
