//! A fragment that an owner heard of: `state.context.rows.MemberRow`.

use crate::fragment::Fragment;
use crate::message::{sight, Add, Drop, Snapshot};
use crate::msgpack::{
    write_array, write_boolean, write_bytes, write_integer, write_optional_integer, write_text, Reader,
};
use crate::record::FORMAT;
use crate::refusal::{demand, Read, Refusal};

const MEMBER_FIELDS: usize = 13;

pub struct Member<'a> {
    /// The highest epoch heard of.
    pub epoch: i64,
    pub wanted: bool,
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub role: &'a str,
    pub grade: i64,
    /// The epoch and position of the newest snapshot.
    pub content_epoch: i64,
    pub era: i64,
    pub offset: i64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub content: Fragment<'a>,
    pub former: bool,
}

impl<'a> Member<'a> {
    pub fn unheard_of() -> Self {
        Member {
            epoch: -1,
            wanted: false,
            kind: "",
            sealed: b"",
            role: "",
            grade: 0,
            content_epoch: -1,
            era: 0,
            offset: -1,
            first: None,
            last: None,
            content: Fragment::default(),
            former: false,
        }
    }

    pub fn decode(row: &'a [u8]) -> Read<Self> {
        let (format, rest) = row.split_first().ok_or(Refusal)?;
        demand(*format == FORMAT)?;
        let mut reader = Reader::new(rest);
        reader.array_of(MEMBER_FIELDS)?;
        let member = Member {
            epoch: reader.integer()?,
            wanted: reader.boolean()?,
            kind: reader.text()?,
            sealed: reader.bytes()?,
            role: reader.text()?,
            grade: reader.integer()?,
            content_epoch: reader.integer()?,
            era: reader.integer()?,
            offset: reader.integer()?,
            first: sight(&mut reader)?,
            last: sight(&mut reader)?,
            content: Fragment::decode(&mut reader)?,
            former: reader.boolean()?,
        };
        demand(reader.is_done())?;
        Ok(member)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        write_array(out, MEMBER_FIELDS);
        write_integer(out, self.epoch);
        write_boolean(out, self.wanted);
        write_text(out, self.kind);
        write_bytes(out, self.sealed);
        write_text(out, self.role);
        write_integer(out, self.grade);
        write_integer(out, self.content_epoch);
        write_integer(out, self.era);
        write_integer(out, self.offset);
        write_optional_integer(out, self.first);
        write_optional_integer(out, self.last);
        self.content.encode(out);
        write_boolean(out, self.former);
    }

    /// Whether the snapshot of its epoch is still on the way.
    pub fn is_settling(&self) -> bool {
        self.content_epoch != self.epoch
    }

    /// Take the fragment in; whether the message told anything new.
    pub fn add(&mut self, message: &Add<'a>) -> bool {
        let is_known = message.epoch == self.epoch
            && self.wanted
            && (message.role, message.grade) == (self.role, self.grade);
        if message.epoch < self.epoch || is_known {
            return false;
        }
        (self.epoch, self.wanted) = (message.epoch, true);
        (self.kind, self.sealed) = (message.kind, message.sealed);
        (self.role, self.grade) = (message.role, message.grade);
        true
    }

    /// Let the fragment go, and what it held; whether the message told anything new.
    pub fn drop(&mut self, message: &Drop<'a>) -> bool {
        if message.epoch < self.epoch || (message.epoch == self.epoch && !self.wanted) {
            return false;
        }
        (self.epoch, self.wanted) = (message.epoch, false);
        (self.content, self.content_epoch, self.former) = (Fragment::default(), -1, false);
        true
    }

    /// Whether a snapshot tells anything new.
    pub fn takes(&self, message: &Snapshot<'a>) -> bool {
        let position = (message.epoch, message.era, message.offset);
        message.epoch >= self.epoch && position > (self.content_epoch, self.era, self.offset)
    }

    /// Keep what the fragment holds, where `takes` says so; what it held before.
    pub fn take(&mut self, message: &Snapshot<'a>, content: Fragment<'a>) -> Fragment<'a> {
        self.epoch = message.epoch;
        (self.content_epoch, self.era, self.offset) = (message.epoch, message.era, message.offset);
        (self.first, self.last, self.former) = (message.first, message.last, message.former);
        std::mem::replace(&mut self.content, content)
    }
}
