//! The HTTP API: JSON:API 1.1 and its OpenAPI document.
