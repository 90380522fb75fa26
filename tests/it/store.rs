//! Filled by the room of the same name.
