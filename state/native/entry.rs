//! One fragment's part of a drain: what came for it is taken in, and what there is to say of it is written.

use crate::changes::{compare, write_changes};
use crate::dedupe::Day;
use crate::document::write_document;
use crate::fold::fold;
use crate::fragment::Fragment;
use crate::household::{parts, Household};
use crate::interaction::write_interaction;
use crate::message::{decode, Event, Message, Own, Snapshot};
use crate::msgpack::{
    write_array, write_boolean, write_bytes, write_integer, write_optional_integer, write_text, Reader,
};
use crate::output::{Output, Section};
use crate::piece::{Queue, Queued, Supplied, Supply};
use crate::record::Record;
use crate::refusal::{demand, Read};
use crate::settings::Settings;
use crate::time::{day_text, DayText};
use crate::view::View;

const SNAPSHOT_FIELDS: usize = 10;
/// Bytes of a document for one of its rows, at the most, and those that every document has.
const DOCUMENT_RATIO: usize = 32;
const DOCUMENT_SIZE_BYTES: usize = 2_000;

pub struct Entry<'a, 'x> {
    number: usize,
    fragment: &'a str,
    row: &'a [u8],
    record: Record<'a>,
    /// Its identifier as Python packs it.
    identity: &'a [u8],
    supplied: &'x [Supplied<'a>],
    /// None until asked for, and where there are none.
    household: Household<'a>,
    settings: &'x Settings<'x>,
    /// The newest day of which it counted events before.
    newest_day: Option<DayText>,
    /// The days that events came for.
    days: Vec<Day>,
    /// Something happened that has to be written; an event was folded; identity spoke; the customer has more
    /// interactions than before; what the context says, counts and recent interactions aside, may have changed.
    touched: bool,
    folded: bool,
    spoken: bool,
    counted: bool,
    told: bool,
}

impl<'a, 'x> Entry<'a, 'x> {
    pub fn new(
        number: usize,
        queue: &Queue<'a>,
        supply: &'x Supply<'a>,
        settings: &'x Settings<'x>,
    ) -> Read<Self> {
        let record = Record::decode(queue.row)?;
        let mut days = Vec::with_capacity(supply.days.len() + 1);
        for (day, entries) in &supply.days {
            days.push(Day::new(*day, entries)?);
        }
        let newest_day = record.content.days.last().map(|(day, _, _)| *day);
        demand(newest_day.is_some() || record.content.total.is_none())?;
        let household = Household::of(&supply.members)?;
        Ok(Entry {
            number,
            fragment: queue.fragment,
            row: queue.row,
            record,
            identity: supply.identity,
            supplied: &supply.members,
            household,
            settings,
            newest_day,
            days,
            touched: false,
            folded: false,
            spoken: false,
            counted: false,
            told: false,
        })
    }

    /// Take in what came, in the order of the offsets.
    pub fn take_in(&mut self, messages: &[Queued<'a>], output: &mut Output) -> Read<()> {
        let era = self.settings.era;
        for message in messages {
            // What can't be read is told also where it came before.
            let decoded = decode(message.value, self.fragment)?;
            if self.record.has_taken(era, message.offset) {
                output.counts.skipped += 1;
                continue;
            }
            match decoded {
                Message::Event(event) => self.fold(&event, message.place, output)?,
                Message::Own(own) => self.own(&own, output)?,
                Message::Add(add) => {
                    output.counts.add += 1;
                    let is_new = self.household.member(add.fragment, &mut self.record)?.add(&add);
                    self.told |= is_new;
                    self.hear(add.fragment, is_new);
                }
                Message::Drop(drop) => {
                    output.counts.drop += 1;
                    let is_new = self.household.member(drop.fragment, &mut self.record)?.drop(&drop);
                    self.told |= is_new;
                    self.hear(drop.fragment, is_new);
                }
                Message::Snapshot(snapshot) => {
                    output.counts.snapshot += 1;
                    self.take(&snapshot)?;
                }
            }
            (self.record.era, self.record.offset) = (era, message.offset);
        }
        Ok(())
    }

    fn fold(&mut self, event: &Event<'a>, place: usize, output: &mut Output) -> Read<()> {
        let day = event.day();
        demand(day >= self.record.horizon_day)?;
        self.name(event.kind, event.sealed)?;
        let size_bytes_max = self.settings.entries_size_bytes_max;
        if !self.day(day)?.enters(event, size_bytes_max)? {
            output.counts.duplicate += 1;
            return Ok(());
        }
        self.told |= fold(&mut self.record.content, event, &self.settings.kept)?;
        (self.touched, self.folded, self.counted) = (true, true, true);
        let customer = if self.record.owner.is_empty() { self.fragment } else { self.record.owner };
        output.counts.applied += 1;
        output.write(Section::Interactions, place, &[customer.as_bytes()], |out| {
            write_interaction(out, event, customer, self.fragment);
            Ok(())
        })?;
        Ok(())
    }

    /// The day's entries: those that were supplied, or none where the fragment was given no event of that day.
    fn day(&mut self, day: i64) -> Read<&mut Day> {
        let place = match self.days.iter().position(|held| held.day == day) {
            Some(place) => place,
            None => {
                // Any other would have been asked for.
                demand(self.newest_day.is_none_or(|newest| day_text(day) > newest))?;
                self.days.push(Day::new(day, b"")?);
                self.days.len() - 1
            }
        };
        Ok(&mut self.days[place])
    }

    fn own(&mut self, message: &Own<'a>, output: &mut Output) -> Read<()> {
        self.name(message.kind, message.sealed)?;
        let record = &mut self.record;
        let place = (record.owner, record.state, record.grade, record.former);
        let said = (record.epoch, record.first, record.last);
        if record.own(message) && !record.owner.is_empty() {
            // Also when nothing is new: the owner may have to hear it again.
            self.spoken = true;
        }
        let has_moved = place != (record.owner, record.state, record.grade, record.former);
        self.told |= has_moved;
        self.touched |= self.spoken || has_moved || said != (record.epoch, record.first, record.last);
        output.counts.own += 1;
        Ok(())
    }

    fn take(&mut self, message: &Snapshot<'a>) -> Read<()> {
        let mut reader = Reader::new(message.content);
        let content = Fragment::decode(&mut reader)?;
        demand(reader.is_done())?;
        let member = self.household.member(message.fragment, &mut self.record)?;
        let is_new = member.takes(message);
        if is_new {
            let was_former = member.former;
            let before = member.take(message, content);
            if member.wanted {
                self.counted |= member.content.total != before.total;
                self.told |= member.former != was_former || !member.content.says_as(&before);
            }
        }
        self.hear(message.fragment, is_new);
        Ok(())
    }

    fn hear(&mut self, fragment: &str, is_new: bool) {
        if is_new {
            self.household.change(fragment);
            self.touched = true;
        }
    }

    /// Note the fragment's own identifier, which Python has read.
    fn name(&mut self, kind: &'a str, sealed: &'a [u8]) -> Read<()> {
        demand(!self.identity.is_empty())?;
        if self.record.kind.is_empty() {
            (self.record.kind, self.record.sealed) = (kind, sealed);
        }
        Ok(())
    }

    /// Say what there is to say, note in the record what was said, and write it.
    pub fn finish(mut self, output: &mut Output) -> Read<()> {
        if !self.touched {
            return Ok(());
        }
        self.publish(output)?;
        let (number, fragment) = (self.number, self.fragment.as_bytes());
        output.write(Section::Records, number, &[fragment, b"/record"], |out| {
            self.record.encode(out);
            Ok(())
        })?;
        for day in self.days.iter().filter(|day| day.is_changed) {
            let key = format!("/day/{:06}/", day.day);
            output.write(Section::Entries, number, &[fragment, key.as_bytes()], |out| {
                day.encode(out);
                Ok(())
            })?;
        }
        for (name, member) in self.household.changed() {
            let key: [&[u8]; 3] = [fragment, b"/member/", name.as_bytes()];
            output.write(Section::Members, number, &key, |out| {
                member.encode(out);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn publish(&mut self, output: &mut Output) -> Read<()> {
        let (number, fragment, version) = (self.number, self.fragment, self.record.version + 1);
        if !self.record.owner.is_empty() {
            if self.folded || self.spoken {
                let record = &self.record;
                output.write(Section::Snapshots, number, &[record.owner.as_bytes()], |out| {
                    write_snapshot(out, record, fragment);
                    Ok(())
                })?;
            }
            return self.withdraw(output);
        }
        if self.record.kind.is_empty() {
            return self.withdraw(output);
        }
        let now = parts(&self.record, self.identity, &self.household, self.settings)?;
        let Some(view) = View::of(&now, self.settings)? else {
            return self.withdraw(output);
        };
        let size_bytes_max = self.settings.document_size_bytes_max;
        let point = output.point();
        let document = output.write(Section::Contexts, number, &[fragment.as_bytes()], |out| {
            write_document(out, fragment, version, &view, &self.settings.trusted_traits)
        })?;
        demand(document.len() <= size_bytes_max)?;
        if !self.record.published || self.told || !self.counted {
            let (committed, household, stood);
            let mut before = None;
            if self.record.published {
                // The one that stands was cut if it was larger than a record may be.
                let size: usize = self.supplied.iter().map(|member| member.row.len()).sum();
                demand(DOCUMENT_RATIO * (self.row.len() + size) + DOCUMENT_SIZE_BYTES <= size_bytes_max)?;
                committed = Record::decode(self.row)?;
                household = Household::of(self.supplied)?;
                stood = parts(&committed, self.identity, &household, self.settings)?;
                before = View::of(&stood, self.settings)?;
            }
            // With more events of its own it is another one, but for what its members may have lost.
            if let Some(before) = before.as_ref().filter(|_| !self.folded || !self.supplied.is_empty()) {
                let mut stands = Vec::with_capacity(document.len());
                write_document(&mut stands, fragment, version, before, &self.settings.trusted_traits)?;
                if stands == output.body[document] {
                    output.take_back(&point);
                    return Ok(());
                }
            }
            let changes = compare(before.as_ref(), &view);
            if !changes.is_empty() {
                let record = output.write(Section::Changes, number, &[fragment.as_bytes()], |out| {
                    write_changes(out, fragment, version, &changes);
                    Ok(())
                })?;
                demand(record.len() <= size_bytes_max)?;
            }
        }
        (self.record.version, self.record.published) = (version, true);
        Ok(())
    }

    /// A customer that has no document any more gets a tombstone, if one stands.
    fn withdraw(&mut self, output: &mut Output) -> Read<()> {
        if self.record.published {
            output.write(Section::Contexts, self.number, &[self.fragment.as_bytes()], |_| Ok(()))?;
            self.record.published = false;
        }
        Ok(())
    }
}

/// What the fragment holds, for its owner.
fn write_snapshot(out: &mut Vec<u8>, record: &Record<'_>, fragment: &str) {
    let mut content = Vec::with_capacity(2_000);
    record.content.encode(&mut content);
    write_array(out, SNAPSHOT_FIELDS);
    write_text(out, "snapshot");
    write_text(out, record.owner);
    write_text(out, fragment);
    write_integer(out, record.epoch);
    write_integer(out, record.era);
    write_integer(out, record.offset);
    write_bytes(out, &content);
    write_optional_integer(out, record.first);
    write_optional_integer(out, record.last);
    write_boolean(out, record.former);
}
