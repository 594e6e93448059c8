//! The names that there are, for whoever gave one that is not there.

/// So many names are told.
const TOLD: usize = 10;

/// So much of two names is compared.
const COMPARED: usize = 64;

/// Says which names there are. Of many, those that are spelled most like `wanted`.
pub(crate) fn near<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return "there is none".to_owned();
    }
    if known.len() > TOLD {
        known.sort_by_cached_key(|it| distance(wanted, it));
    }
    format!("there are {}", listed(known, TOLD))
}

/// The first `most` names in a row, and how many more there are.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>, most: usize) -> String {
    let mut names: Vec<String> = names.into_iter().map(|it| format!("`{it}`")).collect();
    let more = names.len().saturating_sub(most);
    names.truncate(most);
    let names = names.join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

/// How many characters have to be put in, taken out or replaced to make one name of the other, whatever their case.
fn distance(one: &str, other: &str) -> usize {
    let letters = |name: &str| -> Vec<char> {
        name.chars().flat_map(char::to_lowercase).take(COMPARED).collect()
    };
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut above = at;
        let mut left = at + 1;
        for (cell, candidate) in row.iter_mut().skip(1).zip(&other) {
            let replaced = above + usize::from(letter != candidate);
            above = *cell;
            left = replaced.min(above + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_nearest_are_told() {
        let known: Vec<String> = (0..40).map(|it| format!("other_{it}")).collect();
        let known = known.iter().map(String::as_str).chain(["updated_at", "Created"]);
        let told = near("udpated_at", known);
        assert!(told.starts_with("there are `updated_at`, "), "{told}");
        assert!(told.ends_with(" and 32 more"), "{told}");
        assert_eq!(near("x", ["b", "a"]), "there are `b`, `a`");
        assert_eq!(near("x", []), "there is none");
    }

    #[test]
    fn names_differ_by_what_has_to_be_done_to_them() {
        for (one, other, apart) in [
            ("", "", 0),
            ("", "abc", 3),
            ("ID", "id", 0),
            ("kitten", "sitting", 3),
            ("public.order", "public.orders", 1),
        ] {
            assert_eq!(distance(one, other), apart, "{one} {other}");
            assert_eq!(distance(other, one), apart, "{other} {one}");
        }
    }
}
