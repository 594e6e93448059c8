//! The names that there are, for whoever gave one that is not there.

/// So many names are told.
const TOLD: usize = 10;

/// Says which names there are. Of many, those that are spelled most like `wanted`.
pub fn near<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return "there is none".to_owned();
    }
    if known.len() > TOLD {
        let wanted = wanted.to_lowercase();
        known.sort_by_cached_key(|it| strsim::levenshtein(&wanted, &it.to_lowercase()));
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
}
