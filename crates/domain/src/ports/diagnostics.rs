//! Keeping what runs notice.

use async_trait::async_trait;

use super::{Store, StoreError};
use crate::Diagnostic;

/// Keeps diagnostics.
///
/// # Contract
///
/// - [`note`](Self::note) adds all or none. Whoever adds something about an activation also forgets what was noted of it
///   longer than [`Diagnostic::KEPT`] before the newest of the new ones.
/// - What is [informational](crate::DiagnosticClass) takes the place of what said the same before: runs notice it again and
///   again. Losses are all kept.
/// - What is noted of an activation that is not there any more is [`StoreError::Dangling`].
#[async_trait]
pub trait DiagnosticStore: Store<Diagnostic> {
    /// Adds `diagnostics`.
    async fn note(&self, diagnostics: &[Diagnostic]) -> Result<(), StoreError>;
}
