//! What JSONata's codes mean, in sentences that quote no value.

use crate::mapping::JsonataCode;

/// Why an expression cannot be read.
pub(super) fn of_syntax(code: Option<JsonataCode>) -> Sentence {
    let text = match code.as_ref().map_or("", JsonataCode::as_str) {
        "S0101" => "a text has no closing quote",
        "S0102" => "a number is out of range",
        "S0103" => "a text has an escape that JSON does not know",
        "S0104" => "a `\\u` in a text is not followed by four hexadecimal digits",
        "S0105" => "a name in backquotes has no closing backquote",
        "S0106" => "a comment has no end",
        "S0201" => "something stands after its end",
        "S0202" => "another sign was expected at some place; look for a comma or bracket",
        "S0203" | "S0207" => "it ends too early; look for a bracket that is not closed",
        "S0204" => "it has an operator that does not exist",
        "S0208" => "a parameter of a function does not begin with `$`",
        "S0209" | "S0210" => "a filter or grouping stands after a grouping, or twice",
        "S0211" => "an operator has nothing on its left side",
        "S0212" => "the left side of `:=` does not begin with `$`",
        "S0213" => "a text or number stands as a step of a path",
        "S0217" => "a `%` has no parent to stand for",
        "S0301" | "S0302" => "a regular expression is empty or has no end",
        "T1005" | "T1006" => "something is called that is no function",
        _ => "its syntax is wrong",
    };
    Sentence { text, code }
}

/// Why an expression has no result for a record.
pub(super) fn of_failure(code: Option<JsonataCode>) -> Sentence {
    let text = match code.as_ref().map_or("", JsonataCode::as_str) {
        "D1001" => "a number is out of range",
        "D1002" => "something that is no number has a minus before it",
        "D1009" => "two fields of an object have the same name",
        "D3030" => "a value cannot be turned into a number",
        "D3110" | "D3120" | "D3121" | "D3136" => "a text is no date of the expected form",
        "D3137" | "D3141" => "an `$error` or `$assert` of the mapping itself",
        "D3138" | "D3139" => "`$single` does not find exactly one value",
        "T0410" | "T0411" | "T0412" => "a function gets a value of the wrong kind",
        "T1003" => "the name of a field is no text",
        "T1005" | "T1006" => "something is called that is no function",
        "T2001" | "T2002" => "arithmetic with something that is no number; convert it with $number",
        "T2003" | "T2004" => "a range whose ends are no whole numbers",
        "T2007" | "T2009" => "values of different kinds are compared",
        "T2008" | "T2010" => "values are compared that have no order",
        _ => "an operator or a function refuses them",
    };
    Sentence { text, code }
}

/// A sentence with its code.
pub(super) struct Sentence {
    text: &'static str,
    code: Option<JsonataCode>,
}

impl std::fmt::Display for Sentence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text)?;
        match self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}
