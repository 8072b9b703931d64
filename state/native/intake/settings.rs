//! What intake goes by: the registered sources, the bounds of one event, and which enrichers look where.

use crate::input::Input;
use crate::refusal::{Read, Refusal};

/// Instead of a number.
const NONE: usize = u32::MAX as usize;

/// Of characters, where nothing else is said.
pub struct Bounds {
    pub depth: usize,
    pub id: usize,
    pub source: usize,
    /// Of id and source each.
    pub name_size_bytes: usize,
    pub kind: usize,
    pub time: usize,
    pub identifiers: usize,
    pub identifier: usize,
    pub traits: usize,
    pub trait_name: usize,
    pub trait_size_bytes: usize,
    pub summary: usize,
    pub session: usize,
    pub refs: usize,
    /// Of each field of a reference, and of a group.
    pub ref_field: usize,
    pub groups: usize,
    pub permissions: usize,
    pub enriched_size_bytes: usize,
    /// Of a text that enrichers look at as a whole.
    pub text_size_bytes: usize,
    /// Of an event's traits, for enrichers to look at.
    pub trait_set_size_bytes: usize,
    pub message_size_bytes: usize,
}

impl Bounds {
    fn read(input: &mut Input<'_>) -> Read<Self> {
        Ok(Bounds {
            depth: input.size()?,
            id: input.size()?,
            source: input.size()?,
            name_size_bytes: input.size()?,
            kind: input.size()?,
            time: input.size()?,
            identifiers: input.size()?,
            identifier: input.size()?,
            traits: input.size()?,
            trait_name: input.size()?,
            trait_size_bytes: input.size()?,
            summary: input.size()?,
            session: input.size()?,
            refs: input.size()?,
            ref_field: input.size()?,
            groups: input.size()?,
            permissions: input.size()?,
            enriched_size_bytes: input.size()?,
            text_size_bytes: input.size()?,
            trait_set_size_bytes: input.size()?,
            message_size_bytes: input.size()?,
        })
    }
}

/// Where in an event's data an enricher looks.
pub struct Look<'a> {
    pub number: u8,
    pub enricher: &'a str,
    pub field: &'a str,
    /// Of the object in that field; empty where the field itself is meant.
    pub member: &'a str,
    /// The characters at a text's start that it looks at; 0 where it looks at all of it.
    pub length: usize,
}

/// A registered source, or what holds of all others.
pub struct Source<'a> {
    pub name: &'a str,
    /// Of its events that name none; empty where there is none.
    pub channel: &'a str,
    pub rank: i64,
    /// The number of its realm and namespace.
    pub place: usize,
    pub grade: i64,
    grades: Vec<(&'a str, i64)>,
}

impl<'a> Source<'a> {
    fn read(input: &mut Input<'a>) -> Read<Self> {
        Ok(Source {
            name: input.text()?,
            channel: input.text()?,
            rank: input.long()?,
            place: input.size()?,
            grade: input.long()?,
            grades: list(input, |input| Ok((input.text()?, input.long()?)))?,
        })
    }

    pub fn grade_of(&self, kind: &str) -> i64 {
        self.grades.iter().find(|(named, _)| *named == kind).map_or(self.grade, |(_, grade)| *grade)
    }
}

pub struct Settings<'a> {
    pub bounds: Bounds,
    pub future_tolerance_us: i64,
    /// Whether anybody looks at traits.
    pub reads_traits: bool,
    /// The number of the outcome where an event's time says more than the moment; None where nobody looks at that.
    pub time_outcome: Option<u8>,
    /// In the order in which they are made.
    pub looks: Vec<Look<'a>>,
    /// Members of data, and extensions, that differ between copies of an event.
    pub transport: Vec<&'a str>,
    /// Kinds of identifiers that may be shown to nobody.
    pub concealed: Vec<&'a str>,
    /// Types of events that order who is who.
    pub orders: Vec<&'a str>,
    unregistered: Source<'a>,
    /// In the order of their names.
    sources: Vec<Source<'a>>,
}

impl<'a> Settings<'a> {
    /// Reads what `agents.compiled_settings` packs.
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut input = Input::new(bytes);
        Ok(Settings {
            bounds: Bounds::read(&mut input)?,
            future_tolerance_us: input.long()?,
            reads_traits: input.size()? > 0,
            time_outcome: match input.size()? {
                NONE => None,
                number => Some(u8::try_from(number).map_err(|_| Refusal)?),
            },
            looks: looks(&mut input)?,
            transport: list(&mut input, Input::text)?,
            concealed: list(&mut input, Input::text)?,
            orders: list(&mut input, Input::text)?,
            unregistered: Source::read(&mut input)?,
            sources: list(&mut input, Source::read)?,
        })
    }

    pub fn source(&self, name: &str) -> &Source<'a> {
        let found = self.sources.binary_search_by(|source| source.name.cmp(name));
        found.map_or(&self.unregistered, |place| &self.sources[place])
    }
}

fn looks<'a>(input: &mut Input<'a>) -> Read<Vec<Look<'a>>> {
    let mut number = 0;
    list(input, |input| {
        number += 1;
        Ok(Look {
            number: number - 1,
            enricher: input.text()?,
            field: input.text()?,
            member: input.text()?,
            length: input.size()?,
        })
    })
}

fn list<'a, T>(input: &mut Input<'a>, mut read: impl FnMut(&mut Input<'a>) -> Read<T>) -> Read<Vec<T>> {
    let count = input.size()?;
    let mut read_ones = Vec::new();
    for _ in 0..count {
        read_ones.push(read(input)?);
    }
    Ok(read_ones)
}
