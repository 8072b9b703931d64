//! Reads and writes MessagePack as the rows and messages hold it: each form as short as it can be.

use crate::refusal::{Read, Refusal};

/// A cursor over MessagePack; what it gives is borrowed from the input.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Reader { rest: input }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> Read<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Refusal)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, size: usize) -> Read<&'a [u8]> {
        if size > self.rest.len() {
            return Err(Refusal);
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned number of so many bytes, the greatest digit first.
    fn number(&mut self, size: usize) -> Read<u64> {
        Ok(self.take(size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, size: usize) -> Read<usize> {
        usize::try_from(self.number(size)?).map_err(|_| Refusal)
    }

    pub fn is_nil(&self) -> bool {
        self.rest.first() == Some(&0xc0)
    }

    pub fn nil(&mut self) -> Read<()> {
        if self.byte()? == 0xc0 { Ok(()) } else { Err(Refusal) }
    }

    pub fn boolean(&mut self) -> Read<bool> {
        match self.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err(Refusal),
        }
    }

    pub fn integer(&mut self) -> Read<i64> {
        let form = self.byte()?;
        match form {
            0x00..=0x7f => Ok(i64::from(form)),
            0xe0..=0xff => Ok(i64::from(form as i8)),
            0xcc => Ok(self.number(1)? as i64),
            0xcd => Ok(self.number(2)? as i64),
            0xce => Ok(self.number(4)? as i64),
            0xcf => i64::try_from(self.number(8)?).map_err(|_| Refusal),
            0xd0 => Ok(i64::from(self.number(1)? as u8 as i8)),
            0xd1 => Ok(i64::from(self.number(2)? as u16 as i16)),
            0xd2 => Ok(i64::from(self.number(4)? as u32 as i32)),
            0xd3 => Ok(self.number(8)? as i64),
            _ => Err(Refusal),
        }
    }

    pub fn text(&mut self) -> Read<&'a str> {
        let size = match self.byte()? {
            form @ 0xa0..=0xbf => usize::from(form & 0x1f),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            _ => return Err(Refusal),
        };
        std::str::from_utf8(self.take(size)?).map_err(|_| Refusal)
    }

    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let size = match self.byte()? {
            0xc4 => self.length(1)?,
            0xc5 => self.length(2)?,
            0xc6 => self.length(4)?,
            _ => return Err(Refusal),
        };
        self.take(size)
    }

    /// The number of an array's elements, of which each takes at least a byte.
    pub fn array(&mut self) -> Read<usize> {
        let count = match self.byte()? {
            form @ 0x90..=0x9f => usize::from(form & 0x0f),
            0xdc => self.length(2)?,
            0xdd => self.length(4)?,
            _ => return Err(Refusal),
        };
        self.bounded(count)
    }

    /// The number of a mapping's entries.
    pub fn map(&mut self) -> Read<usize> {
        let count = match self.byte()? {
            form @ 0x80..=0x8f => usize::from(form & 0x0f),
            0xde => self.length(2)?,
            0xdf => self.length(4)?,
            _ => return Err(Refusal),
        };
        self.bounded(count)
    }

    /// No more than there are bytes, so that a damaged count asks for no memory.
    fn bounded(&self, count: usize) -> Read<usize> {
        if count <= self.rest.len() { Ok(count) } else { Err(Refusal) }
    }

    /// Go past one value of any kind.
    pub fn skip(&mut self) -> Read<()> {
        let mut left = 1_usize;
        while left > 0 {
            left -= 1;
            let size = match self.byte()? {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
                form @ 0x80..=0x8f => {
                    left += 2 * usize::from(form & 0x0f);
                    0
                }
                form @ 0x90..=0x9f => {
                    left += usize::from(form & 0x0f);
                    0
                }
                form @ 0xa0..=0xbf => usize::from(form & 0x1f),
                0xc4 | 0xd9 => self.length(1)?,
                0xc5 | 0xda => self.length(2)?,
                0xc6 | 0xdb => self.length(4)?,
                0xcc | 0xd0 => 1,
                0xcd | 0xd1 => 2,
                0xce | 0xd2 => 4,
                0xcf | 0xd3 => 8,
                0xdc => {
                    left += self.length(2)?;
                    0
                }
                0xdd => {
                    left += self.length(4)?;
                    0
                }
                0xde => {
                    left += 2 * self.length(2)?;
                    0
                }
                0xdf => {
                    left += 2 * self.length(4)?;
                    0
                }
                _ => return Err(Refusal),
            };
            self.take(size)?;
        }
        Ok(())
    }

    /// An array of exactly so many elements: one of another version is left to the general path.
    pub fn array_of(&mut self, count: usize) -> Read<()> {
        if self.array()? == count { Ok(()) } else { Err(Refusal) }
    }
}

pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => write_number(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_number(out, 0xce, &(value as u32).to_be_bytes()),
        0x1_0000_0000.. => write_number(out, 0xcf, &value.to_be_bytes()),
        -0x20..=-1 => out.push(value as u8),
        -0x80..=-0x21 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-0x81 => write_number(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => write_number(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => write_number(out, 0xd3, &value.to_be_bytes()),
    }
}

fn write_number(out: &mut Vec<u8>, form: u8, digits: &[u8]) {
    out.push(form);
    out.extend_from_slice(digits);
}

pub fn write_optional_integer(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => write_nil(out),
        Some(value) => write_integer(out, value),
    }
}

pub fn write_text(out: &mut Vec<u8>, value: &str) {
    match value.len() {
        size @ 0..=0x1f => out.push(0xa0 | size as u8),
        size @ 0x20..=0xff => out.extend_from_slice(&[0xd9, size as u8]),
        size @ 0x100..=0xffff => write_number(out, 0xda, &(size as u16).to_be_bytes()),
        size => write_number(out, 0xdb, &(size as u32).to_be_bytes()),
    }
    out.extend_from_slice(value.as_bytes());
}

pub fn write_bytes(out: &mut Vec<u8>, value: &[u8]) {
    write_bytes_header(out, value.len());
    out.extend_from_slice(value);
}

/// What goes before so many bytes.
pub fn write_bytes_header(out: &mut Vec<u8>, size: usize) {
    match size {
        0..=0xff => out.extend_from_slice(&[0xc4, size as u8]),
        0x100..=0xffff => write_number(out, 0xc5, &(size as u16).to_be_bytes()),
        _ => write_number(out, 0xc6, &(size as u32).to_be_bytes()),
    }
}

pub fn write_array(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=0x0f => out.push(0x90 | count as u8),
        0x10..=0xffff => write_number(out, 0xdc, &(count as u16).to_be_bytes()),
        _ => write_number(out, 0xdd, &(count as u32).to_be_bytes()),
    }
}

pub fn write_map(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=0x0f => out.push(0x80 | count as u8),
        0x10..=0xffff => write_number(out, 0xde, &(count as u16).to_be_bytes()),
        _ => write_number(out, 0xdf, &(count as u32).to_be_bytes()),
    }
}
