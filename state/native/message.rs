//! The messages of `routed`: events, identity's words on who owns a fragment, and what fragments say to their owners.

use crate::msgpack::Reader;
use crate::refusal::{demand, Read, Refusal};
use crate::sorted::{nested_of, sorted_of, Nested, Sorted};
use crate::time::{written, MICROSECONDS_PER_DAY};

const EVENT_FIELDS: usize = 24;
const OWN_FIELDS: usize = 11;
const ADD_FIELDS: usize = 8;
const DROP_FIELDS: usize = 4;
const SNAPSHOT_FIELDS: usize = 10;
const REF_FIELDS: usize = 3;
/// From `claimed` to `record`.
const GRADES: std::ops::RangeInclusive<i64> = 1..=3;

pub enum Message<'a> {
    Event(Box<Event<'a>>),
    Own(Own<'a>),
    Add(Add<'a>),
    Drop(Drop<'a>),
    Snapshot(Snapshot<'a>),
}

pub struct Event<'a> {
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub source: &'a str,
    pub id: &'a str,
    pub kind_of_event: &'a str,
    pub time: i64,
    pub channel: &'a str,
    pub rank: i64,
    pub grade: i64,
    pub content: &'a [u8],
    pub direction: &'a str,
    pub summary: &'a str,
    pub session: &'a str,
    pub traits: Sorted<'a, &'a [u8]>,
    pub permissions: Nested<'a, bool>,
    pub refs: Vec<Ref<'a>>,
    pub groups: Vec<(&'a str, &'a str)>,
    pub data: &'a [u8],
    pub received: i64,
    pub enriched: &'a [u8],
}

impl Event<'_> {
    pub fn day(&self) -> i64 {
        self.time / MICROSECONDS_PER_DAY
    }
}

pub struct Ref<'a> {
    pub kind: &'a str,
    pub id: &'a str,
    pub status: &'a str,
}

pub struct Own<'a> {
    pub target: &'a str,
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub owner: &'a str,
    pub state: &'a str,
    pub grade: i64,
    pub epoch: i64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub former: bool,
}

pub struct Add<'a> {
    pub fragment: &'a str,
    pub kind: &'a str,
    pub sealed: &'a [u8],
    pub role: &'a str,
    pub grade: i64,
    pub epoch: i64,
}

pub struct Drop<'a> {
    pub fragment: &'a str,
    pub epoch: i64,
}

pub struct Snapshot<'a> {
    pub fragment: &'a str,
    pub epoch: i64,
    pub era: i64,
    pub offset: i64,
    /// A fragment, encoded.
    pub content: &'a [u8],
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub former: bool,
}

/// What has to be known of a message before it can be taken in.
pub enum Outline<'a> {
    /// The fragment's own identifier, and the day of an event.
    Own { sealed: &'a [u8], day: Option<i64> },
    /// A member and its identifier.
    Member { fragment: &'a str, sealed: &'a [u8] },
    /// Nothing.
    Other,
}

/// The beginning of a message; refuses those that are not taken in here.
pub fn outline(value: &[u8]) -> Read<Outline<'_>> {
    let mut reader = Reader::new(value);
    let fields = reader.array()?;
    let tag = reader.text()?;
    reader.text()?;
    let name = reader.text()?;
    match (tag, fields) {
        ("event", EVENT_FIELDS) => {
            let sealed = reader.bytes()?;
            for _ in 0..3 {
                reader.text()?;
            }
            let time = written(reader.integer()?)?;
            Ok(Outline::Own { sealed, day: Some(time / MICROSECONDS_PER_DAY) })
        }
        ("own", OWN_FIELDS) => Ok(Outline::Own { sealed: reader.bytes()?, day: None }),
        ("add", ADD_FIELDS) => {
            reader.text()?;
            Ok(Outline::Member { fragment: name, sealed: reader.bytes()? })
        }
        ("drop", DROP_FIELDS) | ("snapshot", SNAPSHOT_FIELDS) => Ok(Outline::Other),
        _ => Err(Refusal),
    }
}

/// The whole message to this fragment.
pub fn decode<'a>(value: &'a [u8], fragment: &str) -> Read<Message<'a>> {
    let mut reader = Reader::new(value);
    let fields = reader.array()?;
    let tag = reader.text()?;
    let target = reader.text()?;
    demand(target == fragment)?;
    let message = match (tag, fields) {
        ("event", EVENT_FIELDS) => Message::Event(Box::new(event(&mut reader)?)),
        ("own", OWN_FIELDS) => Message::Own(own(&mut reader, target)?),
        ("add", ADD_FIELDS) => Message::Add(Add {
            fragment: reader.text()?,
            kind: reader.text()?,
            sealed: reader.bytes()?,
            role: reader.text()?,
            grade: reader.integer()?,
            epoch: reader.integer()?,
        }),
        ("drop", DROP_FIELDS) => Message::Drop(Drop { fragment: reader.text()?, epoch: reader.integer()? }),
        ("snapshot", SNAPSHOT_FIELDS) => Message::Snapshot(Snapshot {
            fragment: reader.text()?,
            epoch: reader.integer()?,
            era: reader.integer()?,
            offset: reader.integer()?,
            content: reader.bytes()?,
            first: sight(&mut reader)?,
            last: sight(&mut reader)?,
            former: reader.boolean()?,
        }),
        _ => return Err(Refusal),
    };
    demand(reader.is_done())?;
    Ok(message)
}

fn event<'a>(reader: &mut Reader<'a>) -> Read<Event<'a>> {
    let kind = reader.text()?;
    let sealed = reader.bytes()?;
    let source = reader.text()?;
    let id = reader.text()?;
    let kind_of_event = reader.text()?;
    let time = written(reader.integer()?)?;
    let channel = reader.text()?;
    let rank = reader.integer()?;
    let grade = reader.integer()?;
    demand(GRADES.contains(&grade))?;
    let content = reader.bytes()?;
    // Copies of an event whose time was assigned are looked for on other days too.
    demand(!reader.boolean()?)?;
    let event = Event {
        kind,
        sealed,
        source,
        id,
        kind_of_event,
        time,
        channel,
        rank,
        grade,
        content,
        direction: reader.text()?,
        summary: reader.text()?,
        session: reader.text()?,
        traits: sorted_of(reader, |reader| reader.bytes())?,
        permissions: nested_of(reader, |reader| reader.boolean())?,
        refs: refs(reader)?,
        groups: groups(reader)?,
        data: reader.bytes()?,
        received: written(reader.integer()?)?,
        enriched: reader.bytes()?,
    };
    if reader.is_nil() {
        reader.nil()?;
    } else {
        reader.array_of(2)?;
        reader.integer()?;
        reader.integer()?;
    }
    Ok(event)
}

fn refs<'a>(reader: &mut Reader<'a>) -> Read<Vec<Ref<'a>>> {
    let count = reader.array()?;
    let mut refs = Vec::with_capacity(count);
    for _ in 0..count {
        reader.array_of(REF_FIELDS)?;
        refs.push(Ref { kind: reader.text()?, id: reader.text()?, status: reader.text()? });
    }
    Ok(refs)
}

/// Kinds and values, in their order.
fn groups<'a>(reader: &mut Reader<'a>) -> Read<Vec<(&'a str, &'a str)>> {
    let mut groups = Vec::new();
    let mut before: Option<&str> = None;
    for _ in 0..reader.map()? {
        let kind = reader.text()?;
        demand(before.is_none_or(|before| before < kind))?;
        before = Some(kind);
        for _ in 0..reader.array()? {
            groups.push((kind, reader.text()?));
        }
    }
    Ok(groups)
}

fn own<'a>(reader: &mut Reader<'a>, target: &'a str) -> Read<Own<'a>> {
    Ok(Own {
        target,
        kind: reader.text()?,
        sealed: reader.bytes()?,
        owner: reader.text()?,
        state: reader.text()?,
        grade: reader.integer()?,
        epoch: reader.integer()?,
        first: sight(reader)?,
        last: sight(reader)?,
        former: reader.boolean()?,
    })
}

/// A time, or none.
pub fn sight(reader: &mut Reader<'_>) -> Read<Option<i64>> {
    if reader.is_nil() {
        reader.nil()?;
        return Ok(None);
    }
    Ok(Some(written(reader.integer()?)?))
}
