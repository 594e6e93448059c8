//! What runs noticed, for reading. The engine writes it.

use std::sync::Arc;

use linkspan_domain::{
    Diagnostic,
    ports::{Store, World},
};

use crate::Records;

/// What runs noticed about activations. Readers of connectors read it.
pub struct Diagnostics {
    records: Records<Diagnostic>,
}

impl Diagnostics {
    /// The diagnostics that `store` keeps.
    pub fn new(store: Arc<dyn Store<Diagnostic>>, world: Arc<dyn World>) -> Self {
        Self { records: Records::new(store, world) }
    }

    /// The diagnostics, for reading.
    pub const fn records(&self) -> &Records<Diagnostic> {
        &self.records
    }
}
