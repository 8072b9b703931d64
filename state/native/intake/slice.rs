//! A slice of records: what has to be known of them, and what becomes of them.

use std::collections::HashSet;

use super::event::{Arrival, Event};
use super::finding::{texts, write_asked_traits, Counts, Findings};
use super::kept::Kept;
use super::message::Routed;
use super::settings::Settings;
use super::subject::{identifiers, Subject};
use super::tree::Tree;
use crate::input::{write_size, Input};
use crate::refusal::{demand, Read, Refusal};

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
    let (mut places, mut count) = (Vec::new(), 0);
    for _ in 0..input.size()? {
        let (channel, partition, of_place) = (input.text()?, input.long()?, input.size()?);
        places.push((channel, partition, of_place));
        count += of_place;
    }
    let mut sizes = input.sizes(count)?;
    let (mut offsets, mut timestamps) = (input.longs(count)?, input.longs(count)?);
    let mut records = Vec::with_capacity(count);
    for (channel, partition, of_place) in places {
        for _ in 0..of_place {
            let value = input.take(sizes.size()?)?;
            let (offset, timestamp_ms) = (offsets.long()?, timestamps.long()?);
            records.push(Raw { value, arrival: Arrival { channel, partition, offset, timestamp_ms } });
        }
    }
    demand(input.is_done())?;
    Ok(records)
}

/// Answers with what becomes of the records; or, where nothing is told, with what has to be known of them and is not.
///
/// 1. Keep what is told (`Kept::tell`).
/// 2. Say of each record what becomes of it, until one has to be asked for; from then on only ask.
/// 3. Answer with what is asked for (`Asked::finished`), or with what becomes of the records (`Said::finished`).
pub fn take(request: &[u8], told: &[u8], settings: &Settings<'_>, kept: &mut Kept) -> Read<Vec<u8>> {
    let records = records(request)?;
    // Step 1.
    let may_ask = told.is_empty();
    if !may_ask {
        kept.tell(told)?;
    }
    // Step 2.
    let (mut tree, mut names, mut asked) = (Tree::default(), Names::default(), Asked::default());
    let mut said = Said { body: Vec::with_capacity(2 * request.len()), outcomes: vec![0; OUTCOMES_MAX], ..Said::default() };
    for (number, record) in records.iter().enumerate() {
        let start = said.body.len();
        let mut one = || {
            tree.read(record.value, settings.bounds.depth)?;
            let event = Event::read(&tree, record.arrival, settings)?;
            names.read(&tree, &event, settings)?;
            if may_ask {
                asked.ask(&names, kept)?;
            }
            if !asked.names.is_empty() {
                return Ok(());
            }
            said.say(number, record.arrival, &tree, &event, &names, kept, settings)
        };
        if one().is_err() {
            said.body.truncate(start);
        }
    }
    // Step 3.
    if asked.names.is_empty() { said.finished() } else { asked.finished() }
}

/// What has to be known and is not, each once.
#[derive(Default)]
struct Asked {
    names: HashSet<Box<[u8]>>,
    /// Each after its size.
    packed: Vec<u8>,
}

impl Asked {
    fn ask(&mut self, names: &Names, kept: &mut Kept) -> Read<()> {
        for name in names.iter() {
            if !kept.renew(name) && self.names.insert(name.into()) {
                write_size(&mut self.packed, name.len())?;
                self.packed.extend_from_slice(name);
            }
        }
        Ok(())
    }

    /// The number of names, each name after its size, two zeros and the number once more.
    fn finished(self) -> Read<Vec<u8>> {
        let mut answer = Vec::with_capacity(self.packed.len() + 16);
        write_size(&mut answer, self.names.len())?;
        answer.extend_from_slice(&self.packed);
        for number in [0, 0, self.names.len()] {
            write_size(&mut answer, number)?;
        }
        Ok(answer)
    }
}

/// The names of what has to be known of one record, in the order in which it is taken.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }

    fn read(&mut self, tree: &Tree<'_>, event: &Event<'_, '_>, settings: &Settings<'_>) -> Read<()> {
        let Names { bytes, ends } = self;
        bytes.clear();
        ends.clear();
        identifiers(tree, event, settings, |kind, text| {
            bytes.push(IDENTIFIER);
            write_size(bytes, event.registered.place)?;
            bytes.extend_from_slice(kind.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len());
            Ok(())
        })?;
        if settings.reads_traits && event.members.traits.is_some() {
            bytes.push(TRAITS);
            write_asked_traits(bytes, tree, event, settings)?;
            ends.push(bytes.len());
        }
        texts(tree, event, settings, |look, text| {
            bytes.extend_from_slice(&[TEXT, look.number]);
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len());
            Ok(())
        })
    }
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
    fn say(
        &mut self,
        number: usize,
        arrival: Arrival<'_>,
        tree: &Tree<'_>,
        event: &Event<'_, '_>,
        names: &Names,
        kept: &Kept,
        settings: &Settings<'_>,
    ) -> Read<()> {
        let mut left = names.iter();
        let mut supply = || left.next().and_then(|name| kept.get(name)).ok_or(Refusal);
        let subject = Subject::read(tree, event, settings, &mut supply)?;
        let findings = Findings::read(tree, event, settings, &mut supply)?;
        let key = self.body.len();
        self.body.extend_from_slice(subject.target()?.0.as_bytes());
        let message = self.body.len();
        let routed = Routed { tree, event, subject: &subject, findings: &findings, arrival, settings };
        routed.write(&mut self.body)?;
        let end = self.body.len();
        let evidence = subject.write_evidence(&mut self.body, event)?;
        findings.count(&mut self.outcomes)?;
        self.routed.push([number, key, message, end]);
        if let Some([name, pair, id, message]) = evidence {
            self.evidence.push([number, name, pair, id, message, self.body.len()]);
            self.times.push(event.time);
        }
        Ok(())
    }

    /// Keys and messages; where those are; the times of evidence; how often each outcome was met; how many messages and
    /// how many pieces of evidence there are, and a zero.
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
        write_size(&mut self.body, 0)?;
        Ok(self.body)
    }
}
