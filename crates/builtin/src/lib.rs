//! The built-in connector types, one file each.
