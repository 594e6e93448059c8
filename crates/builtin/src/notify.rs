//! Messages to other systems.

pub(crate) mod webhook;
