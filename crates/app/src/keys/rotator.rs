//! Sealing everything anew: the work of a rotation.

use std::{sync::Arc, time::Duration};

use linkspan_domain::{
    KeyRotation, KeyRotationFailure, KeyRotationRefusal, Lease,
    ports::{
        KeyRotationStore, KeyStore, Resealed, SealedRow, StoreError, Vault, VaultError, World,
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Works on the rotation that runs, if it is to the key that seals here.
pub struct KeyRotator {
    rotations: Arc<dyn KeyRotationStore>,
    keys: Arc<dyn KeyStore>,
    vault: Arc<dyn Vault>,
    world: Arc<dyn World>,
    settings: RotatorSettings,
}

/// How a rotator works.
#[derive(Clone, Debug)]
pub struct RotatorSettings {
    /// What it is called: no other has that name.
    pub name: String,
    /// How long it may be silent before another takes over.
    pub lease: time::Duration,
    /// Tells that a rotation was started in this process.
    pub started: Arc<Notify>,
}

/// Why a rotation does not go on. Another try may.
#[derive(Debug, thiserror::Error)]
enum RotateError {
    #[error("the store did not do as asked")]
    Store(#[source] StoreError),
    #[error("nothing can be sealed")]
    Vault(#[source] VaultError),
}

/// How many blobs are sealed anew in one transaction: few enough that whoever writes meanwhile does not notice.
const BATCH: u32 = 500;

/// How often it is looked for a rotation that another process started, or broke off.
const AGAIN: Duration = Duration::from_secs(2);

impl KeyRotator {
    /// Seals anew what `keys` finds, and keeps account of it in `rotations`.
    pub const fn new(
        rotations: Arc<dyn KeyRotationStore>,
        keys: Arc<dyn KeyStore>,
        vault: Arc<dyn Vault>,
        world: Arc<dyn World>,
        settings: RotatorSettings,
    ) -> Self {
        Self { rotations, keys, vault, world, settings }
    }

    /// Works on rotations, one after the other, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.work(stop).await {
                Ok(Some(it)) => tracing::info!(
                    rotation = %it.id, status = %it.status, key = %it.to_key, counts = ?it.counts,
                    "the master key was rotated"
                ),
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the rotation of the master key goes on in a moment"
                ),
            }
            let waiting = tokio::time::timeout(AGAIN, self.settings.started.notified());
            let _ = stop.run_until_cancelled(waiting).await;
        }
    }

    /// Works on the rotation that is to be worked on, if there is one, until it is over or `stop` comes.
    async fn work(&self, stop: &CancellationToken) -> Result<Option<KeyRotation>, RotateError> {
        let (key, now) = (self.vault.current(), self.world.now());
        let until = now + self.settings.lease;
        let claimed = self.rotations.claim(key, &self.settings.name, now, until).await;
        let Some(mut rotation) = claimed.map_err(RotateError::Store)? else { return Ok(None) };
        loop {
            let before = rotation.changed();
            rotation.begin_pass();
            rotation = self.pass(rotation, stop).await?;
            if stop.is_cancelled() {
                rotation.lease = None;
                self.advance(rotation, &[]).await?;
                return Ok(None);
            }
            // What processes with an old key wrote meanwhile is found by another pass.
            if rotation.changed() == before {
                rotation.finish(self.world.now());
                return self.advance(rotation, &[]).await.map(Some);
            }
        }
    }

    /// Seals anew, once, whatever another key sealed.
    async fn pass(
        &self,
        mut rotation: KeyRotation,
        stop: &CancellationToken,
    ) -> Result<KeyRotation, RotateError> {
        let mut after = None;
        while !stop.is_cancelled() {
            let rows = self.keys.sealed_otherwise(rotation.to_key, after, BATCH).await;
            let rows = rows.map_err(RotateError::Store)?;
            let Some(last) = rows.last() else { break };
            after = Some(last.at);
            let mut anew = Vec::with_capacity(rows.len());
            for row in rows {
                anew.extend(self.seal_anew(row, &mut rotation)?);
            }
            let now = self.world.now();
            let (worker, until) = (self.settings.name.clone(), now + self.settings.lease);
            rotation.lease = Some(Lease { worker, until });
            rotation.updated_at = now;
            rotation = self.advance(rotation, &anew).await?;
        }
        Ok(rotation)
    }

    /// A blob under the current key, or a failure that `rotation` notes.
    fn seal_anew(
        &self,
        row: SealedRow,
        rotation: &mut KeyRotation,
    ) -> Result<Option<Resealed>, RotateError> {
        let opened = match self.vault.open(row.context, &row.blob) {
            Ok(opened) => opened,
            Err(error) => {
                let reason = KeyRotationRefusal::of(&error).ok_or(RotateError::Vault(error))?;
                rotation.failed(KeyRotationFailure {
                    place: row.place.to_owned(),
                    id: row.context.row,
                    reason,
                    key_id: row.blob.key_id().ok(),
                });
                return Ok(None);
            }
        };
        let blob = self.vault.seal(row.context, opened.expose()).map_err(RotateError::Vault)?;
        Ok(Some(Resealed { row, blob }))
    }

    async fn advance(
        &self,
        rotation: KeyRotation,
        blobs: &[Resealed],
    ) -> Result<KeyRotation, RotateError> {
        let advanced = self.rotations.advance(rotation, &self.settings.name, blobs).await;
        advanced.map_err(RotateError::Store)
    }
}
