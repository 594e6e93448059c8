//! Fixtures, in-memory stores and port contracts, for tests only.
