//! What Python said of things that were asked for. It is the same for ever, and kept as long as there is room for it.
//!
//! There are two generations. What is told, or found in the older one, is of the younger; once that has its half of the
//! room, it becomes the older one, and what was older is forgotten. So what comes again and again stays.

use std::collections::HashMap;

use crate::input::Input;
use crate::refusal::{demand, Read};

/// What an entry takes beside its name and its answer: two buffers, and its place in a table that is up to half empty.
const ENTRY_SIZE_BYTES: usize = 110;

type Entries = HashMap<Box<[u8]>, Box<[u8]>>;

/// Answers by the names of what they are of, as `slice.rs` asks for it.
pub struct Kept {
    young: Entries,
    old: Entries,
    young_size_bytes: usize,
    half_size_bytes: usize,
}

impl Kept {
    pub fn new(size_bytes_max: usize) -> Self {
        let half_size_bytes = size_bytes_max / 2;
        Kept { young: Entries::new(), old: Entries::new(), young_size_bytes: 0, half_size_bytes }
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.young.get(name).or_else(|| self.old.get(name)).map(AsRef::as_ref)
    }

    /// Whether there is an answer, which is kept for longer then.
    pub fn renew(&mut self, name: &[u8]) -> bool {
        if self.young.contains_key(name) {
            return true;
        }
        let Some((name, answer)) = self.old.remove_entry(name) else { return false };
        self.put(name, answer);
        true
    }

    /// Keep what Python says: the number of names, each name after its size, and each answer after its size.
    pub fn tell(&mut self, told: &[u8]) -> Read<()> {
        let mut input = Input::new(told);
        let count = input.size()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(input.sized()?);
        }
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(input.sized()?);
        }
        // Nothing is kept of what is not told as a whole.
        demand(input.is_done())?;
        for (name, answer) in names.into_iter().zip(answers) {
            self.put(name.into(), answer.into());
        }
        Ok(())
    }

    fn put(&mut self, name: Box<[u8]>, answer: Box<[u8]>) {
        let size_bytes = ENTRY_SIZE_BYTES + name.len() + answer.len();
        if size_bytes > self.half_size_bytes {
            return;
        }
        if self.young_size_bytes + size_bytes > self.half_size_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_size_bytes = 0;
        }
        if self.young.insert(name, answer).is_none() {
            self.young_size_bytes += size_bytes;
        }
    }
}
