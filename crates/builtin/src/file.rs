//! Files with tables in them.

pub(crate) mod csv;
pub(crate) mod csv_url;
