use std::convert::Infallible;

use half::f16;

/// Saved learner state that this build cannot take over. Learn anew from the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Not the state of this kind of learner.
    #[error("not the state of a {learner}: it begins with {found:?}; learn anew from the store")]
    Kind {
        /// Which learner was asked for.
        learner: &'static str,
        /// The first bytes found.
        found: Vec<u8>,
    },
    /// Written by another version.
    #[error(
        "{learner} state has version {found}, this build reads {expected}; \
         learn anew from the store"
    )]
    Version {
        /// Which learner was asked for.
        learner: &'static str,
        /// Version found.
        found: u16,
        /// Version that this build writes and reads.
        expected: u16,
    },
    /// Cut short, or longer than a state is.
    #[error(
        "{learner} state has {found} bytes where {expected} belong; it is cut short or not one \
         state alone; learn anew from the store"
    )]
    Length {
        /// Which learner was asked for.
        learner: &'static str,
        /// Bytes found.
        found: usize,
        /// Bytes that belong there.
        expected: usize,
    },
    /// The bytes are not what was written.
    #[error(
        "{learner} state is damaged or cut short: its checksum does not match; learn anew from the store"
    )]
    Damaged {
        /// Which learner was asked for.
        learner: &'static str,
    },
}

/// A method for each kind of number, named after it: its bytes, the least first.
macro_rules! numbers {
    ($($number:ident)*) => {
        $(fn $number(&mut self, field: &mut $number) -> Result<(), Self::Error> {
            let mut bytes = field.to_le_bytes();
            self.bytes(&mut bytes)?;
            *field = $number::from_le_bytes(bytes);
            Ok(())
        })*
    };
}

/// Goes over the fields of a state in a fixed order: [`Writer`] copies them out, [`Reader`] in.
/// One list of fields serves both, so they cannot disagree.
pub(super) trait Fields {
    /// What can go wrong; nothing on the way out.
    type Error;

    fn bytes<const N: usize>(&mut self, field: &mut [u8; N]) -> Result<(), Self::Error>;

    numbers!(f64 f32 f16 i64 u32 u16 u8);

    fn f64s(&mut self, fields: &mut [f64]) -> Result<(), Self::Error> {
        fields.iter_mut().try_for_each(|field| self.f64(field))
    }

    fn f32s(&mut self, fields: &mut [f32]) -> Result<(), Self::Error> {
        fields.iter_mut().try_for_each(|field| self.f32(field))
    }

    fn bool(&mut self, field: &mut bool) -> Result<(), Self::Error> {
        let mut byte = [u8::from(*field)];
        self.bytes(&mut byte)?;
        *field = byte != [0];
        Ok(())
    }

    fn option_i64(&mut self, field: &mut Option<i64>) -> Result<(), Self::Error> {
        let mut held = field.unwrap_or(i64::MIN);
        self.i64(&mut held)?;
        *field = (held != i64::MIN).then_some(held);
        Ok(())
    }
}

/// Writes a state: magic, version, the fields, a checksum.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(magic: [u8; 4], version: u16) -> Writer {
        let mut bytes = magic.to_vec();
        bytes.extend(version.to_le_bytes());
        Writer { bytes }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let sum = checksum(&self.bytes);
        self.bytes.extend(sum.to_le_bytes());
        self.bytes
    }
}

impl Fields for Writer {
    type Error = Infallible;

    fn bytes<const N: usize>(&mut self, field: &mut [u8; N]) -> Result<(), Infallible> {
        self.bytes.extend_from_slice(field);
        Ok(())
    }
}

/// Reads what [`Writer`] wrote.
pub(super) struct Reader<'a> {
    learner: &'static str,
    rest: &'a [u8],
    found: usize,
}

impl<'a> Reader<'a> {
    /// Checks magic, version and checksum.
    pub(super) fn new(
        learner: &'static str,
        magic: [u8; 4],
        version: u16,
        bytes: &'a [u8],
    ) -> Result<Reader<'a>, RestoreError> {
        let found = bytes.len();
        let least = magic.len() + 2 + 8;
        if found < least {
            return Err(RestoreError::Length { learner, found, expected: least });
        }
        if bytes[..4] != magic {
            return Err(RestoreError::Kind { learner, found: bytes[..4].to_vec() });
        }
        let (body, sum) = bytes.split_at(found - 8);
        let written = u16::from_le_bytes([body[4], body[5]]);
        if written != version {
            return Err(RestoreError::Version { learner, found: written, expected: version });
        }
        if checksum(body).to_le_bytes() != *sum {
            return Err(RestoreError::Damaged { learner });
        }
        Ok(Reader { learner, rest: &body[6..], found })
    }

    /// Checks that nothing is left over.
    pub(super) fn finish(self) -> Result<(), RestoreError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let (learner, found) = (self.learner, self.found);
        Err(RestoreError::Length { learner, found, expected: found - self.rest.len() })
    }
}

impl Fields for Reader<'_> {
    type Error = RestoreError;

    fn bytes<const N: usize>(&mut self, field: &mut [u8; N]) -> Result<(), RestoreError> {
        let (part, rest) = self.rest.split_first_chunk().ok_or(RestoreError::Length {
            learner: self.learner,
            found: self.found,
            expected: self.found + N - self.rest.len(),
        })?;
        (*field, self.rest) = (*part, rest);
        Ok(())
    }
}

/// FNV-1a, 64 bits: enough to notice damage, and the same everywhere.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
