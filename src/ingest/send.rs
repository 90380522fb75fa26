//! The sending side of remote write, as far as the body of a request.

use prost::Message;

/// Content type of a 1.0 request.
pub const CONTENT_TYPE_V1: &str = "application/x-protobuf";

/// Content type of a 2.0 request.
pub const CONTENT_TYPE_V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Returns the body of a request: the message in the snappy block format.
pub fn body(message: &impl Message) -> Vec<u8> {
    compressed(&message.encode_to_vec())
}

/// Returns the body of a request whose message is encoded already.
pub fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(message)
        .expect("the encoder refuses only what is longer than 4 GiB")
}
