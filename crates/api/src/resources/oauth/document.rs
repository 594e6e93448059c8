//! The document about us, which is our name with authorization servers that read such.

use linkspan_domain::ClientMetadata;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, Registry},
};

use crate::{
    answer::text_header,
    media_type::JSON,
    problem::{Failure, internal},
    schema::{named, object, property},
};

/// The document, as servers read it.
pub(super) struct Document(Response);

const NAME: &str = "ClientMetadata";

impl Document {
    /// Shows `metadata`. Servers may keep it for an hour.
    pub(super) fn of(metadata: &ClientMetadata) -> Result<Self, Failure> {
        let body = serde_json::to_vec(metadata).map_err(|_| internal())?;
        let response =
            Response::builder().content_type(JSON).header("Cache-Control", "public, max-age=3600");
        Ok(Self(response.body(body)))
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        self.0
    }
}

fn schema() -> MetaSchema {
    let properties = vec![
        property::<String>("client_id", "Where this document is."),
        property::<String>("client_name", "What people are shown."),
        property::<Vec<String>>("redirect_uris", "Where people come back to."),
        property::<Vec<String>>("grant_types", "By what right we ask for tokens."),
        property::<Vec<String>>("response_types", "What people come back with."),
        property::<String>("token_endpoint_auth_method", "How we say who we are."),
        property::<String>("application_type", "What we are."),
    ];
    let required = properties.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    MetaSchema {
        description: Some("Who we are to authorization servers (RFC 7591 §2)."),
        ..object(properties, &required)
    }
}

impl ApiResponse for Document {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "Who we are.",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: JSON, schema: named(NAME) }],
            headers: vec![text_header("Cache-Control", "How long it may be kept.")],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(NAME.to_owned(), |_| schema());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_shape_names_what_the_document_says() {
        let url = |text: &str| text.parse().unwrap();
        let at = url("https://linkspan.example/v1/oauth/client-metadata.json");
        let back = url("https://linkspan.example/v1/oauth/callback");
        let said = serde_json::to_value(ClientMetadata::document(&at, &back).unwrap()).unwrap();
        let said: BTreeSet<_> = said.as_object().unwrap().keys().cloned().collect();
        let shape = schema();
        let named: BTreeSet<_> =
            shape.properties.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(said, named);
    }
}
