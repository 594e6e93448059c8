//! The sync engine: runs, checkpoints, cursors.
