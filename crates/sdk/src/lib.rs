//! What the author of a connector type sees.
