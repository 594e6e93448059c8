//! The built-in connector types that need a native database driver, one file each.
