//! The connector types of this program.

use linkspan_app::{ConnectorTypes, DuplicateConnectorType};

/// Every type that is built in.
pub(crate) fn types() -> Result<ConnectorTypes, DuplicateConnectorType> {
    ConnectorTypes::new(linkspan_builtin::all().into_iter().chain(linkspan_databases::all()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_types_have_the_same_name() {
        assert!(super::types().unwrap().iter().len() >= 6);
    }
}
