//! Builders and helpers that several test modules share.

pub(crate) mod alertmanager;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod world;
