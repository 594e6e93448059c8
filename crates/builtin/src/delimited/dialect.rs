//! How a table is written down.

use csv_core::{Reader, ReaderBuilder};
use linkspan_sdk::Failure;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a table is written down, as people state it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Format {
    /// What stands between two fields: one character, or `tab`. Found out from the file unless given.
    pub(super) delimiter: Option<String>,
    /// The character around fields that have separators or line breaks in them.
    #[serde(default = "double_quote")]
    pub(super) quote: char,
    /// Whether the first row names the columns. Without names they are called `column_1` and so on.
    #[serde(default = "yes")]
    pub(super) has_header: bool,
    /// Texts that mean "no value", besides the empty one, such as `NULL` or `N/A`.
    #[serde(default)]
    pub(super) null_values: Vec<String>,
    /// The columns that together tell one record from another.
    #[serde(default)]
    pub(crate) primary_key: Vec<String>,
}

const fn double_quote() -> char {
    '"'
}

const fn yes() -> bool {
    true
}

/// How a table is written down, as readers take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// None is to be found out.
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    pub(crate) has_header: bool,
    nulls: Vec<String>,
}

impl Format {
    pub(crate) fn accept(&self) -> Result<(), Failure> {
        self.dialect().map(drop)
    }

    pub(crate) fn dialect(&self) -> Result<Dialect, Failure> {
        let delimiter = match self.delimiter.as_deref() {
            None => None,
            Some("tab" | "\\t") => Some(b'\t'),
            Some(text) => Some(one_byte(text).ok_or_else(|| {
                Failure::setting("delimiter", "must be one ASCII character, or `tab`")
            })?),
        };
        let quote = one_byte(self.quote.encode_utf8(&mut [0; 4]))
            .filter(|it| Some(*it) != delimiter)
            .ok_or_else(|| {
                Failure::setting("quote", "must be one ASCII character, other than the delimiter")
            })?;
        let (has_header, nulls) = (self.has_header, self.null_values.clone());
        Ok(Dialect { delimiter, quote, has_header, nulls })
    }
}

fn one_byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        &[byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Some(byte),
        _ => None,
    }
}

impl Dialect {
    pub(crate) fn is_null(&self, value: &str) -> bool {
        value.is_empty() || self.nulls.iter().any(|it| it == value)
    }

    /// What [`is_null`](Self::is_null) accepts, for readers that ask for it so. None is the empty text alone.
    pub(super) fn null_regex(&self) -> Option<Regex> {
        if self.nulls.is_empty() {
            return None;
        }
        let texts: Vec<_> = self.nulls.iter().map(|it| regex::escape(it)).collect();
        Regex::new(&format!("^(?:|{})$", texts.join("|"))).ok()
    }

    pub(super) fn reader(&self, delimiter: u8) -> Reader {
        ReaderBuilder::new().delimiter(delimiter).quote(self.quote).build()
    }

    /// The delimiter of the table that begins with `sample`: the one that cuts most rows into the same number of fields.
    pub(super) fn detect(&self, sample: &[u8]) -> u8 {
        if let Some(delimiter) = self.delimiter {
            return delimiter;
        }
        let mut best = (0, 0, b',');
        for delimiter in [b',', b';', b'\t', b'|'].into_iter().filter(|it| *it != self.quote) {
            let widths = self.widths(delimiter, sample);
            let Some(&width) = widths.first().filter(|it| **it > 1) else { continue };
            let alike = widths.iter().filter(|it| **it == width).count();
            let share = alike * 100 / widths.len();
            if (share, width) > (best.0, best.1) {
                best = (share, width, delimiter);
            }
        }
        best.2
    }

    /// How many fields the first rows have. The last one, which may be cut off, counts only if it is alone.
    fn widths(&self, delimiter: u8, mut sample: &[u8]) -> Vec<usize> {
        const ROWS: usize = 100;
        let mut reader = self.reader(delimiter);
        let (mut fields, mut ends) = (vec![0; sample.len() + 1], vec![0; sample.len() + 1]);
        let (mut widths, mut width, mut length) = (Vec::new(), 0, 0);
        while widths.len() < ROWS {
            let (result, used, written, found) =
                reader.read_record(sample, &mut fields[length..], &mut ends[width..]);
            sample = &sample[used..];
            length += written;
            width += found;
            match result {
                csv_core::ReadRecordResult::Record if sample.is_empty() && !widths.is_empty() => {
                    break;
                }
                csv_core::ReadRecordResult::Record => {
                    widths.push(width);
                    (width, length) = (0, 0);
                }
                csv_core::ReadRecordResult::InputEmpty => {}
                _ => break,
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Format};

    fn dialect(delimiter: Option<&str>, quote: char) -> Option<Dialect> {
        let format = Format {
            delimiter: delimiter.map(str::to_owned),
            quote,
            has_header: true,
            null_values: vec!["N/A".to_owned(), "a|b".to_owned()],
            primary_key: Vec::new(),
        };
        format.dialect().ok()
    }

    #[test]
    fn a_delimiter_is_one_character_or_a_tab() {
        for (text, byte) in [(",", b','), ("tab", b'\t'), ("\t", b'\t'), ("\\t", b'\t')] {
            assert_eq!(dialect(Some(text), '"').unwrap().delimiter, Some(byte));
        }
        for bad in ["", ",,", "é", "\n", "\""] {
            assert!(dialect(Some(bad), '"').is_none(), "{bad:?}");
        }
        assert!(dialect(None, '“').is_none());
    }

    #[test]
    fn the_delimiter_is_found_out() {
        for (sample, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b;c\n1,5;2,5;3\n", b';'),
            ("a\tb\n1,2\t3\n", b'\t'),
            ("a|b\n1|2", b'|'),
            ("name,note\nx,\"a;b;c\"\n", b','),
            ("alone\n1\n", b','),
            ("a;b\n\"x;y\";2\n", b';'),
            ("", b','),
        ] {
            let found = dialect(None, '"').unwrap().detect(sample.as_bytes());
            assert_eq!(char::from(found), char::from(delimiter), "{sample:?}");
        }
    }

    #[test]
    fn both_spellings_of_no_value_agree() {
        let dialect = dialect(None, '"').unwrap();
        let regex = dialect.null_regex().unwrap();
        for text in ["", "N/A", "a|b", "a", "N/A ", "\n", "N/A\n"] {
            assert_eq!(dialect.is_null(text), regex.is_match(text), "{text:?}");
        }
    }
}
