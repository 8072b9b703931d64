//! Numbers and texts of a request, the least digit first, and those of an answer.

use crate::refusal::{Read, Refusal};

pub const NUMBER_SIZE_BYTES: usize = 4;
const LONG_SIZE_BYTES: usize = 8;

/// A cursor over a request.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { rest: bytes }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, size: usize) -> Read<&'a [u8]> {
        if size > self.rest.len() {
            return Err(Refusal);
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    /// A number of 32 bits, of which none is less than zero.
    pub fn size(&mut self) -> Read<usize> {
        let digits = self.take(NUMBER_SIZE_BYTES)?.try_into().map_err(|_| Refusal)?;
        usize::try_from(u32::from_le_bytes(digits)).map_err(|_| Refusal)
    }

    pub fn long(&mut self) -> Read<i64> {
        let digits = self.take(LONG_SIZE_BYTES)?.try_into().map_err(|_| Refusal)?;
        Ok(i64::from_le_bytes(digits))
    }

    /// So many numbers of 32 bits.
    pub fn sizes(&mut self, count: usize) -> Read<Input<'a>> {
        Ok(Input::new(self.take(count.checked_mul(NUMBER_SIZE_BYTES).ok_or(Refusal)?)?))
    }

    /// So many numbers of 64 bits.
    pub fn longs(&mut self, count: usize) -> Read<Input<'a>> {
        Ok(Input::new(self.take(count.checked_mul(LONG_SIZE_BYTES).ok_or(Refusal)?)?))
    }

    /// Bytes after their size.
    pub fn sized(&mut self) -> Read<&'a [u8]> {
        let size = self.size()?;
        self.take(size)
    }

    /// A text after its length.
    pub fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| Refusal)
    }
}

/// Append a number of 32 bits; refuses a greater one.
pub fn write_size(out: &mut Vec<u8>, size: usize) -> Read<()> {
    let number = u32::try_from(size).map_err(|_| Refusal)?;
    out.extend_from_slice(&number.to_le_bytes());
    Ok(())
}
