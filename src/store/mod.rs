//! The durable home of samples: log, head, blocks, index, retention.
