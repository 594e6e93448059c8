//! The engine over real stores, with sources made up for the purpose.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;
mod filters;
mod groups;
mod guide;
mod interruptions;
mod kill;
mod made_up;
mod mapping;
mod misfits;
mod parts;
mod places;
mod price_list;
mod pushing;
mod stories;
mod working;
