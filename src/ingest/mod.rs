//! Remote write: bytes of a request to samples in the store, with exact answers.
