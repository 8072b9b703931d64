//! What is kept of one identifier's events: `state.fragment`, borrowed from the bytes that say it.

use std::borrow::Cow;

use crate::json::{split_text, unescaped};
use crate::msgpack::{
    write_array, write_bytes, write_integer, write_map, write_nil, write_text, Reader,
};
use crate::refusal::{demand, Read, Refusal};
use crate::sorted::{get, nested_of, sorted_of, write_nested, write_sorted, Nested, Sorted};
use crate::time::{written, DayText};

const FRAGMENT_FIELDS: usize = 12;
/// The JSON of a value that withdraws a trait.
pub const WITHDRAWN: &[u8] = b"null";

/// A value and the event that said it.
#[derive(Clone, Copy, PartialEq)]
pub struct Register<'a> {
    pub value: &'a [u8],
    pub time: i64,
    pub rank: i64,
    pub source: &'a str,
    pub event: &'a str,
    pub grade: i64,
}

impl<'a> Register<'a> {
    /// Newest wins.
    pub fn age_key(&self) -> (i64, i64, &'a str, &'a str) {
        (self.time, self.rank, self.source, self.event)
    }

    /// The best grade wins, then the newest.
    pub fn trust_key(&self) -> (i64, i64, i64, &'a str, &'a str) {
        (self.grade, self.time, self.rank, self.source, self.event)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub struct Count {
    pub count: i64,
    pub first: i64,
    pub last: i64,
}

/// The newest event about a reference.
#[derive(Clone, Copy, PartialEq)]
pub struct RefRegister<'a> {
    pub status: &'a str,
    pub kind_of_event: &'a str,
    pub time: i64,
    pub source: &'a str,
    pub event: &'a str,
}

impl<'a> RefRegister<'a> {
    pub fn age_key(&self) -> (i64, &'a str, &'a str) {
        (self.time, self.source, self.event)
    }
}

/// An interaction as a line of JSON.
#[derive(Clone)]
pub struct Touch<'a> {
    pub time: i64,
    pub direction: &'a str,
    pub shown: Cow<'a, [u8]>,
}

/// Source and id of a line, as text.
type Named<'x> = (Cow<'x, [u8]>, Cow<'x, [u8]>);

impl Touch<'_> {
    /// The source and the id of the event, which matter at equal times only.
    pub fn named(&self) -> Read<Named<'_>> {
        let rest = self.shown.strip_prefix(b"{\"id\":\"").ok_or(Refusal)?;
        let (id, rest) = split_text(rest)?;
        let rest = rest.strip_prefix(b",\"source\":\"").ok_or(Refusal)?;
        let (source, _) = split_text(rest)?;
        Ok((unescaped(source)?, unescaped(id)?))
    }

    pub fn is_newer_than(&self, other: &Touch<'_>) -> Read<bool> {
        if self.time != other.time {
            return Ok(self.time > other.time);
        }
        Ok(self.named()? > other.named()?)
    }

    /// Channel and summary, as they are written between quotes.
    pub fn line(&self) -> Read<(&[u8], &[u8])> {
        let mut rest = self.shown.strip_prefix(b"{").ok_or(Refusal)?;
        let (mut channel, mut summary): (Option<&[u8]>, &[u8]) = (None, b"");
        loop {
            let (name, after) = split_text(rest.strip_prefix(b"\"").ok_or(Refusal)?)?;
            let (value, after) = split_text(after.strip_prefix(b":\"").ok_or(Refusal)?)?;
            match name {
                b"channel" => channel = Some(value),
                b"summary" => summary = value,
                _ => {}
            }
            match after {
                b"}" => return Ok((channel.ok_or(Refusal)?, summary)),
                _ => rest = after.strip_prefix(b",").ok_or(Refusal)?,
            }
        }
    }
}

/// Time, source and id of the newest event that said so.
pub type AgeKey<'a> = (i64, &'a str, &'a str);

#[derive(Default)]
pub struct Fragment<'a> {
    pub grade: i64,
    pub total: Option<Count>,
    pub traits: Sorted<'a, Register<'a>>,
    /// None where it is the newest one.
    pub trusted: Sorted<'a, Option<Register<'a>>>,
    pub permissions: Nested<'a, Register<'a>>,
    pub channels: Sorted<'a, Count>,
    pub types: Sorted<'a, Count>,
    /// Day, channel and count, in that order.
    pub days: Vec<(DayText, &'a str, i64)>,
    pub refs: Nested<'a, RefRegister<'a>>,
    pub groups: Nested<'a, AgeKey<'a>>,
    pub last: Sorted<'a, Touch<'a>>,
    pub recent: Vec<Touch<'a>>,
}

impl<'a> Fragment<'a> {
    /// The best graded register of a trait above `claimed`.
    pub fn trusted_register(&self, name: &str) -> Read<Option<Register<'a>>> {
        match get(&self.trusted, name) {
            None => Ok(None),
            Some(Some(register)) => Ok(Some(*register)),
            Some(None) => get(&self.traits, name).copied().map(Some).ok_or(Refusal),
        }
    }

    /// The newest interaction in the direction.
    pub fn last_touch(&self, direction: &str) -> Option<&Touch<'a>> {
        self.recent.iter().find(|touch| touch.direction == direction).or_else(|| get(&self.last, direction))
    }

    /// Whether both say the same, counts and recent interactions aside.
    pub fn says_as(&self, other: &Fragment<'_>) -> bool {
        self.grade == other.grade
            && self.traits == other.traits
            && self.trusted == other.trusted
            && self.permissions == other.permissions
            && self.refs == other.refs
            && self.groups == other.groups
    }

    pub fn decode(reader: &mut Reader<'a>) -> Read<Self> {
        reader.array_of(FRAGMENT_FIELDS)?;
        Ok(Fragment {
            grade: reader.integer()?,
            total: if reader.is_nil() { reader.nil().map(|()| None)? } else { Some(count(reader)?) },
            traits: sorted_of(reader, register)?,
            trusted: sorted_of(reader, |reader| {
                if reader.is_nil() { reader.nil().map(|()| None) } else { register(reader).map(Some) }
            })?,
            permissions: nested_of(reader, register)?,
            channels: sorted_of(reader, count)?,
            types: sorted_of(reader, count)?,
            days: days(reader)?,
            refs: nested_of(reader, ref_register)?,
            groups: nested_of(reader, |reader| {
                reader.array_of(3)?;
                Ok((reader.integer()?, reader.text()?, reader.text()?))
            })?,
            last: sorted_of(reader, touch)?,
            recent: {
                let count = reader.array()?;
                let mut recent = Vec::with_capacity(count + 1);
                for _ in 0..count {
                    recent.push(touch(reader)?);
                }
                recent
            },
        })
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        write_array(out, FRAGMENT_FIELDS);
        write_integer(out, self.grade);
        match &self.total {
            None => write_nil(out),
            Some(total) => write_count(out, total),
        }
        write_sorted(out, &self.traits, write_register);
        write_sorted(out, &self.trusted, |out, register| match register {
            None => write_nil(out),
            Some(register) => write_register(out, register),
        });
        write_nested(out, &self.permissions, write_register);
        write_sorted(out, &self.channels, write_count);
        write_sorted(out, &self.types, write_count);
        write_map(out, self.days.chunk_by(|one, other| one.0 == other.0).count());
        for held in self.days.chunk_by(|one, other| one.0 == other.0) {
            out.push(0xa0 | held[0].0.len() as u8);
            out.extend_from_slice(&held[0].0);
            write_map(out, held.len());
            for (_, channel, count) in held {
                write_text(out, channel);
                write_integer(out, *count);
            }
        }
        write_nested(out, &self.refs, |out, register| {
            write_array(out, 5);
            write_text(out, register.status);
            write_text(out, register.kind_of_event);
            write_integer(out, register.time);
            write_text(out, register.source);
            write_text(out, register.event);
        });
        write_nested(out, &self.groups, |out, (time, source, event)| {
            write_array(out, 3);
            write_integer(out, *time);
            write_text(out, source);
            write_text(out, event);
        });
        write_sorted(out, &self.last, write_touch);
        write_array(out, self.recent.len());
        for touch in &self.recent {
            write_touch(out, touch);
        }
    }
}

fn register<'a>(reader: &mut Reader<'a>) -> Read<Register<'a>> {
    reader.array_of(6)?;
    Ok(Register {
        value: reader.bytes()?,
        time: written(reader.integer()?)?,
        rank: reader.integer()?,
        source: reader.text()?,
        event: reader.text()?,
        grade: reader.integer()?,
    })
}

fn write_register(out: &mut Vec<u8>, register: &Register<'_>) {
    write_array(out, 6);
    write_bytes(out, register.value);
    write_integer(out, register.time);
    write_integer(out, register.rank);
    write_text(out, register.source);
    write_text(out, register.event);
    write_integer(out, register.grade);
}

fn count(reader: &mut Reader<'_>) -> Read<Count> {
    reader.array_of(3)?;
    let count = reader.integer()?;
    Ok(Count { count, first: written(reader.integer()?)?, last: written(reader.integer()?)? })
}

fn write_count(out: &mut Vec<u8>, count: &Count) {
    write_array(out, 3);
    write_integer(out, count.count);
    write_integer(out, count.first);
    write_integer(out, count.last);
}

fn ref_register<'a>(reader: &mut Reader<'a>) -> Read<RefRegister<'a>> {
    reader.array_of(5)?;
    Ok(RefRegister {
        status: reader.text()?,
        kind_of_event: reader.text()?,
        time: written(reader.integer()?)?,
        source: reader.text()?,
        event: reader.text()?,
    })
}

fn touch<'a>(reader: &mut Reader<'a>) -> Read<Touch<'a>> {
    reader.array_of(3)?;
    Ok(Touch {
        time: written(reader.integer()?)?,
        direction: reader.text()?,
        shown: Cow::Borrowed(reader.bytes()?),
    })
}

fn write_touch(out: &mut Vec<u8>, touch: &Touch<'_>) {
    write_array(out, 3);
    write_integer(out, touch.time);
    write_text(out, touch.direction);
    write_bytes(out, &touch.shown);
}

fn days<'a>(reader: &mut Reader<'a>) -> Read<Vec<(DayText, &'a str, i64)>> {
    let count = reader.map()?;
    let mut days: Vec<(DayText, &'a str, i64)> = Vec::with_capacity(count + 1);
    for _ in 0..count {
        let day: DayText = reader.text()?.as_bytes().try_into().map_err(|_| Refusal)?;
        demand(days.last().is_none_or(|(before, _, _)| *before < day))?;
        let channels = reader.map()?;
        demand(channels > 0)?;
        for place in 0..channels {
            let channel = reader.text()?;
            demand(place == 0 || days.last().is_some_and(|(_, before, _)| *before < channel))?;
            days.push((day, channel, reader.integer()?));
        }
    }
    Ok(days)
}

/// The newest day of an encoded fragment; None where it has none and never had any.
pub fn newest_day<'a>(reader: &mut Reader<'a>) -> Read<Option<&'a str>> {
    reader.array_of(FRAGMENT_FIELDS)?;
    reader.skip()?;
    let is_empty = reader.is_nil();
    // From the total to the types.
    for _ in 0..6 {
        reader.skip()?;
    }
    let mut newest = None;
    for _ in 0..reader.map()? {
        newest = Some(reader.text()?);
        reader.skip()?;
    }
    // One that counts no days, but events, can't say of which days these were.
    demand(newest.is_some() || is_empty)?;
    Ok(newest)
}
