//! The audit trail, for reading. Use cases write it with their effects.

use std::sync::Arc;

use linkspan_domain::{
    AuditEvent,
    ports::{Store, World},
};

use crate::Records;

/// The audit trail of an organization. Admins read it.
pub struct Audit {
    records: Records<AuditEvent>,
}

impl Audit {
    /// The events that `store` keeps.
    pub fn new(store: Arc<dyn Store<AuditEvent>>, world: Arc<dyn World>) -> Self {
        Self { records: Records::new(store, world) }
    }

    /// The events, for reading.
    pub const fn records(&self) -> &Records<AuditEvent> {
        &self.records
    }
}
