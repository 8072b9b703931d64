//! What becomes of a piece: the records and rows to write, each with its key, and what there was to count.

use std::ops::Range;

use crate::input::write_size;
use crate::refusal::Read;

/// What is written, in the order of the answer's index.
#[derive(Clone, Copy)]
pub enum Section {
    Interactions,
    Contexts,
    Changes,
    Snapshots,
    Records,
    Entries,
    Members,
}

const SECTIONS: usize = 7;

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub applied: usize,
    pub duplicate: usize,
    pub skipped: usize,
    pub own: usize,
    pub add: usize,
    pub drop: usize,
    pub snapshot: usize,
}

/// Where a record stands: the number of its place or of its fragment, and where its key, its value and their end are.
type Mark = [usize; 4];

#[derive(Default)]
pub struct Output {
    pub body: Vec<u8>,
    marks: [Vec<Mark>; SECTIONS],
    refused: Vec<usize>,
    pub counts: Counts,
}

/// How far an output had come.
pub struct Point {
    body: usize,
    marks: [usize; SECTIONS],
    counts: Counts,
}

impl Output {
    /// Write a record, `write` its value; where that is in the body.
    pub fn write(
        &mut self,
        section: Section,
        number: usize,
        key: &[&[u8]],
        write: impl FnOnce(&mut Vec<u8>) -> Read<()>,
    ) -> Read<Range<usize>> {
        let start = self.body.len();
        for part in key {
            self.body.extend_from_slice(part);
        }
        let value = self.body.len();
        write(&mut self.body)?;
        self.marks[section as usize].push([number, start, value, self.body.len()]);
        Ok(value..self.body.len())
    }

    pub fn point(&self) -> Point {
        let mut marks = [0; SECTIONS];
        for (count, held) in marks.iter_mut().zip(&self.marks) {
            *count = held.len();
        }
        Point { body: self.body.len(), marks, counts: self.counts }
    }

    /// Take back what was written since.
    pub fn take_back(&mut self, point: &Point) {
        self.body.truncate(point.body);
        for (held, count) in self.marks.iter_mut().zip(point.marks) {
            held.truncate(count);
        }
        self.counts = point.counts;
    }

    /// Take back what was written of a fragment, which is left to the general path.
    pub fn refuse(&mut self, fragment: usize, point: &Point) {
        self.take_back(point);
        self.refused.push(fragment);
    }

    /// The body, the index, and how many of each there are in it.
    pub fn finished(mut self) -> Read<Vec<u8>> {
        for mark in self.marks.iter().flatten().flatten() {
            write_size(&mut self.body, *mark)?;
        }
        for fragment in &self.refused {
            write_size(&mut self.body, *fragment)?;
        }
        for marks in &self.marks {
            write_size(&mut self.body, marks.len())?;
        }
        write_size(&mut self.body, self.refused.len())?;
        let Counts { applied, duplicate, skipped, own, add, drop, snapshot } = self.counts;
        for count in [applied, duplicate, skipped, own, add, drop, snapshot] {
            write_size(&mut self.body, count)?;
        }
        Ok(self.body)
    }
}
