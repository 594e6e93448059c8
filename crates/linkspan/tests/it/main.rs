//! The program from outside: the commands, the API, a database of each kind.
#![allow(clippy::unwrap_used)]

mod activations;
mod cli;
mod doctor;
mod kill;
mod kill_pushes;
mod objects;
mod program;
mod pushing;
mod secrecy;
mod server;
