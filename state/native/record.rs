//! A fragment's row: what it is, whose it is, what was published under its id, and what its events add up to.

use crate::fragment::{newest_day, Fragment};
use crate::message::{sight, Own};
use crate::msgpack::{
    write_array, write_boolean, write_bytes, write_integer, write_optional_integer, write_text, Reader,
};
use crate::refusal::{demand, Read, Refusal};

const RECORD_FIELDS: usize = 16;
/// The version of the rows' format.
pub const FORMAT: u8 = 1;

pub struct Record<'a> {
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub owner: &'a str,
    pub state: &'a str,
    pub grade: i64,
    pub epoch: i64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub era: i64,
    pub offset: i64,
    pub version: i64,
    pub published: bool,
    pub horizon_day: i64,
    pub members: i64,
    pub content: Fragment<'a>,
    pub former: bool,
}

/// What has to be known of a record before anything can be taken in.
pub struct Outline<'a> {
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub era: i64,
    pub offset: i64,
    pub horizon_day: i64,
    pub members: i64,
    /// The newest day of which it counts events; None where it counts none and never did.
    pub newest_day: Option<&'a str>,
}

impl<'a> Outline<'a> {
    pub fn decode(row: &'a [u8]) -> Read<Self> {
        if row.is_empty() {
            return Ok(Outline {
                kind: "",
                sealed: b"",
                era: 0,
                offset: -1,
                horizon_day: 0,
                members: 0,
                newest_day: None,
            });
        }
        let mut reader = reader_of(row)?;
        let (kind, sealed) = (reader.text()?, reader.bytes()?);
        // From the owner to the last sight.
        for _ in 0..6 {
            reader.skip()?;
        }
        let (era, offset) = (reader.integer()?, reader.integer()?);
        reader.skip()?;
        reader.skip()?;
        let (horizon_day, members) = (reader.integer()?, reader.integer()?);
        Ok(Outline { kind, sealed, era, offset, horizon_day, members, newest_day: newest_day(&mut reader)? })
    }
}

/// Past the format and the beginning.
fn reader_of(row: &[u8]) -> Read<Reader<'_>> {
    let (format, rest) = row.split_first().ok_or(Refusal)?;
    demand(*format == FORMAT)?;
    let mut reader = Reader::new(rest);
    reader.array_of(RECORD_FIELDS)?;
    Ok(reader)
}

impl<'a> Record<'a> {
    /// The record of a row; of none, that of a fragment that was never heard of.
    pub fn decode(row: &'a [u8]) -> Read<Self> {
        if row.is_empty() {
            return Ok(Self::unheard_of());
        }
        let mut reader = reader_of(row)?;
        let record = Record {
            kind: reader.text()?,
            sealed: reader.bytes()?,
            owner: reader.text()?,
            state: reader.text()?,
            grade: reader.integer()?,
            epoch: reader.integer()?,
            first: sight(&mut reader)?,
            last: sight(&mut reader)?,
            era: reader.integer()?,
            offset: reader.integer()?,
            version: reader.integer()?,
            published: reader.boolean()?,
            horizon_day: reader.integer()?,
            members: reader.integer()?,
            content: Fragment::decode(&mut reader)?,
            former: reader.boolean()?,
        };
        demand(reader.is_done())?;
        Ok(record)
    }

    fn unheard_of() -> Self {
        Record {
            kind: "",
            sealed: b"",
            owner: "",
            state: "home",
            grade: 0,
            epoch: 0,
            first: None,
            last: None,
            era: 0,
            offset: -1,
            version: 0,
            published: false,
            horizon_day: 0,
            members: 0,
            content: Fragment::default(),
            former: false,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        write_array(out, RECORD_FIELDS);
        write_text(out, self.kind);
        write_bytes(out, self.sealed);
        write_text(out, self.owner);
        write_text(out, self.state);
        write_integer(out, self.grade);
        write_integer(out, self.epoch);
        write_optional_integer(out, self.first);
        write_optional_integer(out, self.last);
        write_integer(out, self.era);
        write_integer(out, self.offset);
        write_integer(out, self.version);
        write_boolean(out, self.published);
        write_integer(out, self.horizon_day);
        write_integer(out, self.members);
        self.content.encode(out);
        write_boolean(out, self.former);
    }

    /// Whether so much of `routed` was taken in before.
    pub fn has_taken(&self, era: i64, offset: i64) -> bool {
        (era, offset) <= (self.era, self.offset)
    }

    /// Take in who the owner is; whether it is a word of the newest epoch, if only a repeated one.
    pub fn own(&mut self, message: &Own<'a>) -> bool {
        if let (Some(first), Some(last)) = (message.first, message.last) {
            self.first = Some(self.first.map_or(first, |held| held.min(first)));
            self.last = Some(self.last.map_or(last, |held| held.max(last)));
        }
        if message.epoch < self.epoch {
            return false;
        }
        self.owner = if message.owner == message.target { "" } else { message.owner };
        self.state = message.state;
        self.grade = message.grade;
        self.epoch = message.epoch;
        self.former = message.former;
        true
    }
}
