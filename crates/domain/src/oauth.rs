//! OAuth: the authorization servers of connected systems, and what they grant.

mod challenge;
mod client;
mod client_metadata;
mod grant;
mod pending;
mod proof;
mod sealing;
mod server;

pub use challenge::{Challenge, InvalidChallenge};
pub use client::{ClientAuthentication, ClientOrigin, OauthClient};
pub use client_metadata::{ClientMetadata, InvalidDocumentUrl, is_private_transport};
pub use grant::{Grant, GrantHolder, HeldGrant, JournaledReply};
pub use pending::{IssuerCheck, PendingAuthorization, Redirected};
pub use proof::{ClientKey, ClientKeyError, ClientProof, GivenProof, UnfitProof};
pub use sealing::{InvalidSealedForm, Sealable};
pub use server::{AuthorizationServer, Issuer};
