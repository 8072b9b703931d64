//! Mappings as lists in the order of their keys, which is how a deterministic encoding holds them.

use crate::msgpack::{write_map, write_text, Reader};
use crate::refusal::{demand, Read};

/// A mapping of text.
pub type Sorted<'a, Value> = Vec<(&'a str, Value)>;
/// A mapping of text to mappings of text, none of them empty, as one list.
pub type Nested<'a, Value> = Vec<(&'a str, &'a str, Value)>;

/// Reads a mapping; refuses one that is not in order, or has a key twice.
pub fn sorted_of<'a, Value>(
    reader: &mut Reader<'a>,
    mut value_of: impl FnMut(&mut Reader<'a>) -> Read<Value>,
) -> Read<Sorted<'a, Value>> {
    let count = reader.map()?;
    let mut entries: Sorted<'a, Value> = Vec::with_capacity(count);
    for _ in 0..count {
        let key = reader.text()?;
        demand(entries.last().is_none_or(|(before, _)| *before < key))?;
        entries.push((key, value_of(reader)?));
    }
    Ok(entries)
}

pub fn nested_of<'a, Value>(
    reader: &mut Reader<'a>,
    mut value_of: impl FnMut(&mut Reader<'a>) -> Read<Value>,
) -> Read<Nested<'a, Value>> {
    let mut entries: Nested<'a, Value> = Vec::new();
    for _ in 0..reader.map()? {
        let outer = reader.text()?;
        demand(entries.last().is_none_or(|(before, _, _)| *before < outer))?;
        let count = reader.map()?;
        demand(count > 0)?;
        for place in 0..count {
            let inner = reader.text()?;
            demand(place == 0 || entries.last().is_some_and(|(_, before, _)| *before < inner))?;
            entries.push((outer, inner, value_of(reader)?));
        }
    }
    Ok(entries)
}

pub fn write_sorted<Value>(out: &mut Vec<u8>, entries: &[(&str, Value)], write: impl Fn(&mut Vec<u8>, &Value)) {
    write_map(out, entries.len());
    for (key, value) in entries {
        write_text(out, key);
        write(out, value);
    }
}

pub fn write_nested<Value>(out: &mut Vec<u8>, entries: &[(&str, &str, Value)], write: impl Fn(&mut Vec<u8>, &Value)) {
    write_map(out, entries.chunk_by(|one, other| one.0 == other.0).count());
    for held in entries.chunk_by(|one, other| one.0 == other.0) {
        write_text(out, held[0].0);
        write_map(out, held.len());
        for (_, inner, value) in held {
            write_text(out, inner);
            write(out, value);
        }
    }
}

/// Where the key is, or would be.
pub fn place_of<Value>(entries: &[(&str, Value)], key: &str) -> Result<usize, usize> {
    entries.binary_search_by(|(each, _)| (*each).cmp(key))
}

pub fn get<'x, Value>(entries: &'x [(&str, Value)], key: &str) -> Option<&'x Value> {
    place_of(entries, key).ok().map(|place| &entries[place].1)
}

pub fn set<'a, Value>(entries: &mut Sorted<'a, Value>, key: &'a str, value: Value) {
    match place_of(entries, key) {
        Ok(place) => entries[place].1 = value,
        Err(place) => entries.insert(place, (key, value)),
    }
}

pub fn nested_place_of<Value>(entries: &[(&str, &str, Value)], outer: &str, inner: &str) -> Result<usize, usize> {
    entries.binary_search_by(|(one, other, _)| (*one, *other).cmp(&(outer, inner)))
}
