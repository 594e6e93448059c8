//! Files with tables in them.

pub(crate) mod csv;
pub(crate) mod csv_url;
pub(crate) mod parquet;
pub(crate) mod s3_csv;
pub(crate) mod s3_storage;
