//! Which events a fragment was given: rows of entries by day, as `state.dedupe` keeps them.

use crate::blake2b::digest;
use crate::message::Event;
use crate::msgpack::write_bytes_header;
use crate::record::FORMAT;
use crate::refusal::{demand, Read};

/// Of the hash that names an event.
const DIGEST_SIZE_BYTES: usize = 8;
const CONTENT_SIZE_BYTES: usize = 4;
pub const ENTRY_SIZE_BYTES: usize = DIGEST_SIZE_BYTES + CONTENT_SIZE_BYTES;

/// The events of one day.
pub struct Day {
    pub day: i64,
    entries: Vec<u8>,
    pub is_changed: bool,
}

impl Day {
    pub fn new(day: i64, entries: &[u8]) -> Read<Self> {
        demand(entries.len() % ENTRY_SIZE_BYTES == 0)?;
        let mut held = Vec::with_capacity(entries.len() + ENTRY_SIZE_BYTES);
        held.extend_from_slice(entries);
        Ok(Day { day, entries: held, is_changed: false })
    }

    /// Whether the event is new, and is entered; refuses where its row has to be split, or a copy says otherwise.
    pub fn enters(&mut self, event: &Event<'_>, size_bytes_max: usize) -> Read<bool> {
        let name = name_of(event.source, event.id);
        let mut content = [0; CONTENT_SIZE_BYTES];
        for (place, byte) in content.iter_mut().zip(event.content) {
            *place = *byte;
        }
        for entry in self.entries.chunks_exact(ENTRY_SIZE_BYTES) {
            if entry[..DIGEST_SIZE_BYTES] == name {
                demand(entry[DIGEST_SIZE_BYTES..] == content)?;
                return Ok(false);
            }
        }
        demand(self.entries.len() + ENTRY_SIZE_BYTES <= size_bytes_max)?;
        self.entries.extend_from_slice(&name);
        self.entries.extend_from_slice(&content);
        self.is_changed = true;
        Ok(true)
    }

    /// The row, its entries sorted.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        write_bytes_header(out, self.entries.len());
        let mut entries: Vec<&[u8]> = self.entries.chunks_exact(ENTRY_SIZE_BYTES).collect();
        entries.sort_unstable();
        for entry in entries {
            out.extend_from_slice(entry);
        }
    }
}

/// The hash of an event's name. The length of the source keeps (`ab`, `c`) and (`a`, `bc`) apart.
fn name_of(source: &str, event: &str) -> [u8; DIGEST_SIZE_BYTES] {
    digest(format!("{}:{source}{event}", source.chars().count()).as_bytes())
}
