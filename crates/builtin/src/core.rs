//! Building blocks.

pub(crate) mod delay;
pub(crate) mod http;
