use super::receiver::{IngestLimits, WriteError};

/// A copy element of 3 bytes yields at most 64, so no block grows by more than this factor.
///
/// Source: snappy format description, section 2.2.
const GROWTH_MAX: usize = 22;

/// A buffer larger than this is not kept for the next request.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Decompresses bodies (the snappy block format), with one buffer for all.
#[derive(Default)]
pub(super) struct Decompressor {
    buffer: Vec<u8>,
}

impl Decompressor {
    /// Takes over what `body` decompresses to; [`Decompressor::give_back`] returns the buffer.
    pub(super) fn decompress(
        &mut self,
        body: &[u8],
        limits: &IngestLimits,
    ) -> Result<Decompressed, WriteError> {
        if body.len() > limits.compressed_bytes_max {
            return Err(WriteError::CompressedTooLarge { limit: limits.compressed_bytes_max });
        }
        let len = snap::raw::decompress_len(body)?;
        if len > limits.decompressed_bytes_max {
            return Err(WriteError::TooLarge { len, limit: limits.decompressed_bytes_max });
        }
        if len > body.len().saturating_mul(GROWTH_MAX) {
            return Err(WriteError::Inflated { len, from: body.len() });
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        match snap::raw::Decoder::new().decompress(body, &mut buffer[..len]) {
            Ok(written) => Ok(Decompressed { buffer, len: written }),
            Err(error) => {
                self.give_back(Decompressed { buffer, len: 0 });
                Err(error.into())
            }
        }
    }

    /// Keeps the buffer for the next body.
    pub(super) fn give_back(&mut self, decompressed: Decompressed) {
        if decompressed.buffer.len() <= KEPT_BYTES_MAX {
            self.buffer = decompressed.buffer;
        }
    }
}

/// A body, decompressed.
pub(super) struct Decompressed {
    buffer: Vec<u8>,
    len: usize,
}

impl Decompressed {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}
