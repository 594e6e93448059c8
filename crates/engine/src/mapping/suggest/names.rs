//! How alike two names are.

/// The words of a name, in one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens(Vec<String>);

/// Words that people abbreviate, and what they stand for.
const SYNONYMS: &[(&str, &str)] = &[
    ("addr", "address"),
    ("amt", "amount"),
    ("co", "company"),
    ("ctry", "country"),
    ("cust", "customer"),
    ("desc", "description"),
    ("dob", "birthdate"),
    ("dt", "date"),
    ("emailaddress", "email"),
    ("inv", "invoice"),
    ("no", "number"),
    ("nr", "number"),
    ("num", "number"),
    ("org", "organization"),
    ("organisation", "organization"),
    ("qty", "quantity"),
    ("surname", "lastname"),
    ("telephone", "phone"),
    ("tel", "phone"),
    ("trx", "transaction"),
    ("tx", "transaction"),
    ("txn", "transaction"),
];

/// Words that are alike in the singular and the plural, or only look like a plural.
const NOT_PLURAL: &[&str] =
    &["address", "status", "means", "business", "class", "gross", "details", "vies"];

impl Tokens {
    /// The words of `name`: at signs that are no letters or digits, and where `camelCase` has its humps.
    pub(super) fn of(name: &str) -> Self {
        let mut words: Vec<String> = vec![String::new()];
        let letters: Vec<char> = name.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            if !letter.is_alphanumeric() {
                words.push(String::new());
                continue;
            }
            let before = at.checked_sub(1).and_then(|it| letters.get(it));
            let after = letters.get(at + 1);
            let is_hump = letter.is_uppercase()
                && (before.is_some_and(|it| it.is_lowercase() || it.is_numeric())
                    || (before.is_some_and(|it| it.is_uppercase())
                        && after.is_some_and(|it| it.is_lowercase())));
            if is_hump {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        Self(words.into_iter().filter(|word| !word.is_empty()).map(canonical).collect())
    }

    /// The words without those of `qualifier` at the beginning, unless nothing would be left.
    fn without(&self, qualifier: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(qualifier.0.as_slice())?;
        (!rest.is_empty() && !qualifier.0.is_empty()).then(|| Self(rest.to_vec()))
    }

    fn joined(&self) -> String {
        self.0.concat()
    }

    fn overlap(&self, other: &Self) -> f64 {
        let common = self.0.iter().filter(|word| other.0.contains(word)).count();
        let all = self.0.len() + other.0.len() - common;
        f64::from(u32::try_from(common).unwrap_or(0))
            / f64::from(u32::try_from(all).unwrap_or(1).max(1))
    }
}

fn canonical(word: String) -> String {
    let word = match word.strip_suffix("ies") {
        Some(stem) if stem.len() > 2 => format!("{stem}y"),
        _ => match word.strip_suffix('s') {
            Some(stem)
                if stem.len() > 2
                    && !stem.ends_with('s')
                    && !NOT_PLURAL.contains(&word.as_str()) =>
            {
                stem.to_owned()
            }
            _ => word,
        },
    };
    match SYNONYMS.iter().find(|(short, _)| *short == word) {
        Some((_, long)) => (*long).to_owned(),
        None => word,
    }
}

/// How alike one of `sources` and one of `names` are, from 0 to 1. The first of `names` is the field's own; `qualifiers`
/// say what a source may put before a name: `customer_email` is the email in a stream of customers.
pub(super) fn likeness(sources: &[(Tokens, f64)], names: &[Tokens], qualifiers: &[Tokens]) -> f64 {
    let mut best = 0.0_f64;
    for (source, weight) in sources {
        for (at, name) in names.iter().enumerate() {
            let own = if at == 0 { 1.0 } else { 0.96 };
            let alike = if source == name || source.joined() == name.joined() {
                own
            } else if qualifiers.iter().any(|it| source.without(it).as_ref() == Some(name)) {
                own * 0.96
            } else {
                match source.overlap(name) {
                    common if common >= 0.5 => 0.3 + 0.4 * common,
                    _ => 0.0,
                }
            };
            best = best.max(alike * weight);
        }
    }
    best
}

/// How much a stream's name says that it is about what goes by `aliases`.
pub(super) fn affinity(stream: &Tokens, aliases: &[String]) -> f64 {
    let aliases: Vec<Tokens> = aliases.iter().map(|alias| Tokens::of(alias)).collect();
    let is_last = |alias: &Tokens| stream.0.ends_with(&alias.0);
    let is_within = |alias: &Tokens| alias.0.iter().all(|word| stream.0.contains(word));
    if aliases.iter().any(is_last) {
        1.0
    } else if aliases.iter().any(is_within) {
        0.6
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_whatever_their_spelling() {
        for spelling in
            ["first_name", "firstName", "FirstName", "First Name", "FIRST-NAME", "first.names"]
        {
            assert_eq!(Tokens::of(spelling), Tokens::of("first name"), "{spelling}");
        }
        assert_eq!(Tokens::of("customerID").0, ["customer", "id"]);
        assert_eq!(Tokens::of("HTTPUrl").0, ["http", "url"]);
        assert_eq!(Tokens::of("Invoice No.").0, ["invoice", "number"]);
        assert_eq!(Tokens::of("companies").0, ["company"]);
        assert_eq!(Tokens::of("address status").0, ["address", "status"]);
        assert_eq!(Tokens::of("__").0, [""; 0]);
    }

    #[test]
    fn a_stream_is_about_what_its_name_ends_in() {
        let aliases = ["invoice".to_owned(), "credit note".to_owned()];
        assert!((affinity(&Tokens::of("public.sales_invoices"), &aliases) - 1.0).abs() < 1e-9);
        assert!((affinity(&Tokens::of("invoice_lines"), &aliases) - 0.6).abs() < 1e-9);
        assert!(affinity(&Tokens::of("tickets"), &aliases) < 1e-9);
    }
}
