//! The program from outside: the commands, the API, a database of each kind.
#![allow(clippy::unwrap_used)]

mod access;
mod activations;
mod authorize;
mod cli;
mod doctor;
mod grants;
mod keys;
mod kill;
mod kill_pushes;
mod objects;
mod program;
mod pushing;
mod rotating;
mod rotation;
mod secrecy;
mod server;
mod workspaces;
