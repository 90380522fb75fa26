use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Bytes that are no protobuf of the expected message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the protobuf message is malformed: {what}")]
pub(super) struct DecodeError {
    pub(super) what: &'static str,
}

fn malformed<T>(what: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError { what })
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    #[inline]
    pub(super) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => malformed("a text or message is expected"),
        }
    }

    #[inline]
    pub(super) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Value::Varint(value) => Ok(value),
            _ => malformed("a whole number is expected"),
        }
    }

    #[inline]
    pub(super) fn int64(self) -> Result<i64, DecodeError> {
        Ok(self.varint()? as i64)
    }

    #[inline]
    pub(super) fn uint32(self) -> Result<u32, DecodeError> {
        Ok(self.varint()? as u32)
    }

    #[inline]
    pub(super) fn sint32(self) -> Result<i32, DecodeError> {
        let value = self.varint()? as u32;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline]
    pub(super) fn double(self) -> Result<f64, DecodeError> {
        match self {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => malformed("a double is expected"),
        }
    }

    /// Hands the numbers of a repeated field to `each`, packed or one by one.
    #[inline]
    pub(super) fn varints(self, mut each: impl FnMut(u64)) -> Result<(), DecodeError> {
        let Value::Bytes(mut packed) = self else {
            each(self.varint()?);
            return Ok(());
        };
        while !packed.is_empty() {
            each(varint(&mut packed)?);
        }
        Ok(())
    }

    /// As [`Value::varints`], for doubles.
    pub(super) fn doubles(self, mut each: impl FnMut(f64)) -> Result<(), DecodeError> {
        let Value::Bytes(packed) = self else {
            each(self.double()?);
            return Ok(());
        };
        let (doubles, []) = packed.as_chunks() else {
            return malformed("packed doubles end within one");
        };
        for bytes in doubles {
            each(f64::from_le_bytes(*bytes));
        }
        Ok(())
    }
}

/// The number that a `sint64` stands for.
#[inline]
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
fn varint(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    if let [byte @ ..0x80, after @ ..] = *rest {
        *rest = after;
        return Ok(u64::from(*byte));
    }
    decode_varint(rest).or_else(|_| malformed("a number does not end"))
}

/// The fields of a message, in the order they come.
pub(super) struct Fields<'a> {
    message: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { message, rest: message }
    }

    /// Returns how many bytes of the message were read.
    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.message.len() - self.rest.len()
    }

    /// Returns the fields that follow the first `offset` bytes of a message.
    #[inline]
    pub(super) fn from(message: &'a [u8], offset: usize) -> Fields<'a> {
        Fields { message, rest: message.get(offset..).unwrap_or_default() }
    }

    /// Returns the next field's number and value. Groups, which no message of ours has, are
    /// skipped.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        // Nearly all fields begin with one byte for the key and, texts and messages, one or two for
        // the length.
        if let [key @ 8..0x80, rest @ ..] = self.rest {
            let number = u32::from(key >> 3);
            match (key & 7, rest) {
                (2, [len @ ..0x80, rest @ ..]) if usize::from(*len) <= rest.len() => {
                    let (bytes, rest) = rest.split_at(usize::from(*len));
                    self.rest = rest;
                    return Ok(Some((number, Value::Bytes(bytes))));
                }
                (2, [low @ 0x80..=0xff, high @ ..0x80, rest @ ..]) => {
                    let len = usize::from(*low & 0x7f) | usize::from(*high) << 7;
                    if let Some((bytes, rest)) = rest.split_at_checked(len) {
                        self.rest = rest;
                        return Ok(Some((number, Value::Bytes(bytes))));
                    }
                }
                (0, mut rest) => {
                    let value = varint(&mut rest)?;
                    self.rest = rest;
                    return Ok(Some((number, Value::Varint(value))));
                }
                (1, rest) => {
                    if let Some((bytes, rest)) = rest.split_first_chunk() {
                        self.rest = rest;
                        return Ok(Some((number, Value::Fixed64(u64::from_le_bytes(*bytes)))));
                    }
                }
                _ => {}
            }
        }
        self.next_of_any_shape()
    }

    fn next_of_any_shape(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        while !self.rest.is_empty() {
            let (number, wire_type) =
                decode_key(&mut self.rest).or_else(|_| malformed("not the key of a field"))?;
            let value = match wire_type {
                WireType::Varint => Value::Varint(varint(&mut self.rest)?),
                WireType::SixtyFourBit => {
                    Value::Fixed64(u64::from_le_bytes(*self.take_fixed::<8>()?))
                }
                WireType::ThirtyTwoBit => {
                    self.take_fixed::<4>()?;
                    Value::Fixed32
                }
                WireType::LengthDelimited => {
                    let len = varint(&mut self.rest)?;
                    let taken =
                        usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
                    let Some((bytes, rest)) = taken else {
                        return malformed("a field is longer than what it is in");
                    };
                    self.rest = rest;
                    Value::Bytes(bytes)
                }
                WireType::StartGroup | WireType::EndGroup => {
                    skip_field(wire_type, number, &mut self.rest, DecodeContext::default())
                        .or_else(|_| malformed("a group does not end"))?;
                    continue;
                }
            };
            return Ok(Some((number, value)));
        }
        Ok(None)
    }

    fn take_fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return malformed("a number of fixed size is cut off");
        };
        self.rest = rest;
        Ok(taken)
    }
}
