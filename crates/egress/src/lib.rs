//! The one outbound HTTP client and its policy against server-side request forgery.
