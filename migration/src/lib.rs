//! Append-only migrations of the Linkspan database, for SQLite and PostgreSQL.
