//! What the platform lends a connector for one use.

use std::{env::temp_dir, path::Path, sync::Arc};

use linkspan_domain::{
    AuthorizationFlow, Direction, WorkspaceConnectorId,
    ports::{Limits, Outbound},
};
use tokio_util::sync::CancellationToken;

use crate::{FileAccess, HostGuard, Paces, TokenSource};

/// What the platform lends a connector for one use. Cheap to clone.
#[derive(Clone)]
pub struct Environment {
    /// The way out over HTTP.
    pub outbound: Arc<dyn Outbound>,
    /// The folders that may be read.
    pub files: FileAccess,
    /// A folder for files that are gone when the use ends.
    pub scratch: Arc<Path>,
    /// Says where connections that are not HTTP may go.
    pub database_hosts: Arc<dyn HostGuard>,
    /// What the operator allows.
    pub limits: SourceLimits,
    /// How fast systems take requests, as far as they said.
    pub paces: Paces,
    /// For which activation, if the settings belong to one; draft settings do not.
    pub activation: Option<WorkspaceConnectorId>,
    /// Whether records are to be read or written there, which a check may look at.
    pub direction: Direction,
    /// How the connector of the settings authorizes.
    pub flow: AuthorizationFlow,
    /// What an OAuth grant opens, if the settings belong to an activation that may have one.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// Stops the use when cancelled.
    pub cancel: CancellationToken,
}

/// What the operator allows one use to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// The most bytes of one downloaded file, counted after decompression.
    pub download_bytes: u64,
    /// The most bytes of one uploaded or local file, counted as it lies there.
    pub file_bytes: u64,
    /// How long the download of one file may take, in seconds.
    pub download_secs: u64,
    /// What one ordinary HTTP exchange may cost.
    pub exchange: Limits,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            download_bytes: 50 * 1024 * 1024,
            file_bytes: 200 * 1024 * 1024,
            download_secs: 600,
            exchange: Limits::default(),
        }
    }
}

impl Environment {
    /// An environment that reaches the world through `outbound`, sees no file, lets connections go
    /// wherever `database_hosts` permits, and has the scratch folder of the operating system. It is for reading.
    pub fn new(outbound: Arc<dyn Outbound>, database_hosts: Arc<dyn HostGuard>) -> Self {
        Self {
            outbound,
            files: FileAccess::none(),
            scratch: temp_dir().into(),
            database_hosts,
            limits: SourceLimits::default(),
            paces: Paces::default(),
            activation: None,
            direction: Direction::Input,
            flow: AuthorizationFlow::None,
            tokens: None,
            cancel: CancellationToken::new(),
        }
    }
}
