//! A slice of the records of one partition: what has to be known of them, and what becomes of them.

use super::event::{Arrival, Event};
use super::finding::{texts, write_asked_traits, Counts, Findings};
use super::message::Routed;
use super::settings::Settings;
use super::subject::{identifiers, Subject};
use super::tree::Tree;
use crate::input::{write_size, Input};
use crate::refusal::{demand, Read, Refusal};

/// Instead of the number of things that have to be known of a record.
const REFUSED: usize = u32::MAX as usize;
/// What is asked for.
const IDENTIFIER: u8 = b'i';
const TRAITS: u8 = b't';
const TEXT: u8 = b'x';
/// Python numbers what becomes of looks from 0 on.
const OUTCOMES_MAX: usize = 64;

/// A record, and where and when it came.
struct Raw<'a> {
    value: &'a [u8],
    arrival: Arrival<'a>,
}

/// The records as `agents.compiled_intake` packs them.
fn records(request: &[u8]) -> Read<Vec<Raw<'_>>> {
    let mut input = Input::new(request);
    let count = input.size()?;
    let (channel, partition) = (input.text()?, input.long()?);
    let mut sizes = input.sizes(count)?;
    let (mut offsets, mut timestamps) = (input.longs(count)?, input.longs(count)?);
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let value = input.take(sizes.size()?)?;
        let (offset, timestamp_ms) = (offsets.long()?, timestamps.long()?);
        records.push(Raw { value, arrival: Arrival { channel, partition, offset, timestamp_ms } });
    }
    demand(input.is_done())?;
    Ok(records)
}

/// Answers with the number of things that have to be known of all records; of each record; the sizes of their names; and
/// the names, each of which begins with what it is.
pub fn plan(request: &[u8], settings: &Settings<'_>) -> Read<Vec<u8>> {
    let records = records(request)?;
    let (mut counts, mut sizes, mut names) = (Vec::new(), Vec::new(), Vec::with_capacity(request.len()));
    let mut tree = Tree::default();
    let mut all = 0;
    for record in &records {
        let (asked, written) = (sizes.len(), names.len());
        match ask(record, &mut tree, settings, &mut sizes, &mut names) {
            Ok(count) => {
                write_size(&mut counts, count)?;
                all += count;
            }
            Err(Refusal) => {
                sizes.truncate(asked);
                names.truncate(written);
                write_size(&mut counts, REFUSED)?;
            }
        }
    }
    let mut answer = Vec::with_capacity(4 + counts.len() + sizes.len() + names.len());
    write_size(&mut answer, all)?;
    for part in [&counts, &sizes, &names] {
        answer.extend_from_slice(part);
    }
    Ok(answer)
}

fn ask<'a>(
    record: &Raw<'a>,
    tree: &mut Tree<'a>,
    settings: &Settings<'_>,
    sizes: &mut Vec<u8>,
    names: &mut Vec<u8>,
) -> Read<usize> {
    tree.read(record.value, settings.bounds.depth)?;
    let event = Event::read(tree, record.arrival, settings)?;
    let mut count = 0;
    let mut finish = |names: &Vec<u8>, start: usize| {
        count += 1;
        write_size(sizes, names.len() - start)
    };
    identifiers(tree, &event, settings, |kind, text| {
        let start = names.len();
        names.push(IDENTIFIER);
        write_size(names, event.registered.place)?;
        names.extend_from_slice(kind.as_bytes());
        names.push(0);
        names.extend_from_slice(text.as_bytes());
        finish(names, start)
    })?;
    if settings.reads_traits && event.members.traits.is_some() {
        let start = names.len();
        names.push(TRAITS);
        write_asked_traits(names, tree, &event, settings)?;
        finish(names, start)?;
    }
    texts(tree, &event, settings, |look, text| {
        let start = names.len();
        names.extend_from_slice(&[TEXT, look.number]);
        names.extend_from_slice(text.as_bytes());
        finish(names, start)
    })?;
    Ok(count)
}

/// Answers with keys and messages; where those are; the times of evidence; how often each outcome was met; and how many
/// messages and how many pieces of evidence there are.
///
/// `supply` has the counts of the plan, and what Python says of each thing that was asked for: sizes, then the bytes.
pub fn step(request: &[u8], supply: &[u8], settings: &Settings<'_>) -> Read<Vec<u8>> {
    let records = records(request)?;
    let mut input = Input::new(supply);
    let all = input.size()?;
    let mut counts = input.sizes(records.len())?;
    let mut sizes = input.sizes(all)?;
    let mut tree = Tree::default();
    let mut said = Said { body: Vec::with_capacity(2 * request.len()), outcomes: vec![0; OUTCOMES_MAX], ..Said::default() };
    let mut supplied = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let count = counts.size()?;
        if count == REFUSED {
            continue;
        }
        supplied.clear();
        for _ in 0..count {
            supplied.push(input.take(sizes.size()?)?);
        }
        let start = said.body.len();
        if said.say(number, record, &supplied, &mut tree, settings).is_err() {
            said.body.truncate(start);
        }
    }
    said.finished()
}

/// What becomes of a slice.
#[derive(Default)]
struct Said {
    body: Vec<u8>,
    /// Of each message: the number of its record, and where its key, itself and its end are.
    routed: Vec<[usize; 4]>,
    /// Of what is said to identity: the number of its record, and where its parts and their end are.
    evidence: Vec<[usize; 6]>,
    times: Vec<i64>,
    outcomes: Counts,
}

impl Said {
    /// Say what becomes of a record; where it is refused, nothing but bytes at the end of the body may be left of it.
    fn say<'a>(
        &mut self,
        number: usize,
        record: &Raw<'a>,
        supplied: &[&[u8]],
        tree: &mut Tree<'a>,
        settings: &Settings<'_>,
    ) -> Read<()> {
        tree.read(record.value, settings.bounds.depth)?;
        let (tree, arrival) = (&*tree, record.arrival);
        let event = Event::read(tree, arrival, settings)?;
        let mut left = supplied.iter();
        let mut supply = || left.next().copied().ok_or(Refusal);
        let subject = Subject::read(tree, &event, settings, &mut supply)?;
        let findings = Findings::read(tree, &event, settings, &mut supply)?;
        let key = self.body.len();
        self.body.extend_from_slice(subject.target()?.0.as_bytes());
        let message = self.body.len();
        let routed = Routed { tree, event: &event, subject: &subject, findings: &findings, arrival, settings };
        routed.write(&mut self.body)?;
        let end = self.body.len();
        let evidence = subject.write_evidence(&mut self.body, &event)?;
        findings.count(&mut self.outcomes)?;
        self.routed.push([number, key, message, end]);
        if let Some([name, pair, id, message]) = evidence {
            self.evidence.push([number, name, pair, id, message, self.body.len()]);
            self.times.push(event.time);
        }
        Ok(())
    }

    fn finished(mut self) -> Read<Vec<u8>> {
        for number in self.routed.iter().flatten().chain(self.evidence.iter().flatten()) {
            write_size(&mut self.body, *number)?;
        }
        for time in &self.times {
            self.body.extend_from_slice(&time.to_le_bytes());
        }
        for count in &self.outcomes {
            self.body.extend_from_slice(&count.to_le_bytes());
        }
        write_size(&mut self.body, self.routed.len())?;
        write_size(&mut self.body, self.evidence.len())?;
        Ok(self.body)
    }
}
