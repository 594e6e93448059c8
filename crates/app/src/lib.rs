//! The use cases of Linkspan, over its ports.
