//! The fold: one event into its fragment, as `state.fold` does it.

use std::borrow::Cow;

use crate::fragment::{Count, Fragment, RefRegister, Register, Touch};
use crate::json::{write_quoted_time, write_text};
use crate::message::Event;
use crate::refusal::{Read, Refusal};
use crate::settings::Limits;
use crate::sorted::{get, nested_place_of, place_of, set, Nested, Sorted};
use crate::time::day_text;

const CLAIMED: i64 = 1;

/// Apply an event that was not applied before; whether what the fragment says may have changed.
pub fn fold<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) -> Read<bool> {
    let mut said = event.grade > fragment.grade;
    if said {
        fragment.grade = event.grade;
    }
    count(fragment, event, limits);
    touch(fragment, event, limits)?;
    for (name, value) in &event.traits {
        said |= fold_trait(fragment, name, value, event, limits)?;
    }
    said |= permissions(fragment, event, limits);
    said |= refs(fragment, event, limits);
    said |= groups(fragment, event, limits);
    Ok(said)
}

fn count<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) {
    let time = event.time;
    match &mut fragment.total {
        None => fragment.total = Some(Count { count: 1, first: time, last: time }),
        Some(total) => increase(total, time),
    }
    count_in(&mut fragment.channels, event.channel, time);
    let is_new_type = count_in(&mut fragment.types, event.kind_of_event, time);
    if is_new_type && fragment.types.len() > limits.types {
        fragment.types.pop();
    }
    let day = day_text(event.day());
    let days = &mut fragment.days;
    match days.binary_search_by(|(each, channel, _)| (each, *channel).cmp(&(&day, event.channel))) {
        Ok(place) => days[place].2 += 1,
        Err(place) => {
            let is_known = |place: usize| days.get(place).is_some_and(|(each, _, _)| *each == day);
            let is_new = !is_known(place) && !(place > 0 && is_known(place - 1));
            days.insert(place, (day, event.channel, 1));
            if is_new && days.chunk_by(|one, other| one.0 == other.0).count() > limits.days {
                let oldest = days[0].0;
                days.retain(|(each, _, _)| *each != oldest);
            }
        }
    }
}

/// Count one by its name; whether the name is new.
fn count_in<'a>(counts: &mut Sorted<'a, Count>, name: &'a str, time: i64) -> bool {
    match place_of(counts, name) {
        Ok(place) => {
            increase(&mut counts[place].1, time);
            false
        }
        Err(place) => {
            counts.insert(place, (name, Count { count: 1, first: time, last: time }));
            true
        }
    }
}

fn increase(count: &mut Count, time: i64) {
    count.count += 1;
    count.first = count.first.min(time);
    count.last = count.last.max(time);
}

fn touch<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) -> Read<()> {
    let recent = &mut fragment.recent;
    let place = place_in(recent, event)?;
    let direction = event.direction;
    recent.insert(place, Touch { time: event.time, direction, shown: Cow::Owned(shown(event)) });
    if place < limits.recent {
        // From now on the list itself tells the last one in this direction.
        if let Ok(held) = place_of(&fragment.last, direction) {
            fragment.last.remove(held);
        }
    }
    if recent.len() > limits.recent {
        let left = recent.pop().ok_or(Refusal)?;
        if !left.direction.is_empty() && recent.iter().all(|touch| touch.direction != left.direction) {
            let is_newest = match get(&fragment.last, left.direction) {
                None => true,
                Some(held) => left.is_newer_than(held)?,
            };
            if is_newest {
                set(&mut fragment.last, left.direction, left);
            }
        }
    }
    Ok(())
}

/// Where the event stands among the newest.
fn place_in(recent: &[Touch<'_>], event: &Event<'_>) -> Read<usize> {
    for (place, other) in recent.iter().enumerate() {
        if event.time > other.time {
            return Ok(place);
        }
        if event.time == other.time {
            let (source, id) = other.named()?;
            if (event.source.as_bytes(), event.id.as_bytes()) > (&*source, &*id) {
                return Ok(place);
            }
        }
    }
    Ok(recent.len())
}

/// The JSON of a `schemas.document.RecentInteraction`.
fn shown(event: &Event<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + event.summary.len());
    out.extend_from_slice(b"{\"id\":");
    write_text(&mut out, event.id);
    out.extend_from_slice(b",\"source\":");
    write_text(&mut out, event.source);
    out.extend_from_slice(b",\"type\":");
    write_text(&mut out, event.kind_of_event);
    out.extend_from_slice(b",\"time\":");
    write_quoted_time(&mut out, event.time);
    out.extend_from_slice(b",\"channel\":");
    write_text(&mut out, event.channel);
    if !event.summary.is_empty() {
        out.extend_from_slice(b",\"summary\":");
        write_text(&mut out, event.summary);
    }
    if !event.direction.is_empty() {
        out.extend_from_slice(b",\"direction\":");
        write_text(&mut out, event.direction);
    }
    out.push(b'}');
    out
}

fn fold_trait<'a>(
    fragment: &mut Fragment<'a>,
    name: &'a str,
    value: &'a [u8],
    event: &Event<'a>,
    limits: &Limits,
) -> Read<bool> {
    let newest = get(&fragment.traits, name).copied();
    let best = fragment.trusted_register(name)?;
    let register =
        Register { value, time: event.time, rank: event.rank, source: event.source, event: event.id, grade: event.grade };
    let wins = newest.is_none_or(|newest| register.age_key() > newest.age_key());
    let better = event.grade > CLAIMED && best.is_none_or(|best| register.trust_key() > best.trust_key());
    if !(wins || better) {
        return Ok(false);
    }
    if better {
        set(&mut fragment.trusted, name, if wins { None } else { Some(register) });
    } else if best.is_some() {
        // It was the newest one until now, and has to be kept by itself.
        set(&mut fragment.trusted, name, best);
    }
    if wins {
        set(&mut fragment.traits, name, register);
    }
    if fragment.traits.len() > limits.traits {
        let oldest = least(&fragment.traits, |name, register| Ok((register.age_key(), name)))?;
        let (name, left) = fragment.traits.remove(oldest);
        if get(&fragment.trusted, name).is_some_and(Option::is_none) {
            set(&mut fragment.trusted, name, Some(left));
        }
    }
    if fragment.trusted.len() > limits.trusted {
        let worst = least(&fragment.trusted, |name, _| {
            let register = fragment.trusted_register(name)?.ok_or(Refusal)?;
            Ok((register.trust_key(), name))
        })?;
        fragment.trusted.remove(worst);
    }
    let tells = |held: Option<Register<'_>>| held.is_none_or(|held| held.value != value);
    Ok((wins && tells(newest)) || (better && tells(best)))
}

/// The place of the entry whose key is the least.
fn least<'a, Value, Key: Ord>(
    entries: &[(&'a str, Value)],
    key_of: impl Fn(&'a str, &Value) -> Read<Key>,
) -> Read<usize> {
    let mut found: Option<(Key, usize)> = None;
    for (place, (name, value)) in entries.iter().enumerate() {
        let key = key_of(name, value)?;
        if found.as_ref().is_none_or(|(held, _)| key < *held) {
            found = Some((key, place));
        }
    }
    found.map(|(_, place)| place).ok_or(Refusal)
}

fn permissions<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) -> bool {
    let mut said = false;
    for (channel, purpose, allowed) in &event.permissions {
        let register = Register {
            value: if *allowed { b"true" } else { b"false" },
            time: event.time,
            rank: event.rank,
            source: event.source,
            event: event.id,
            grade: event.grade,
        };
        match nested_place_of(&fragment.permissions, channel, purpose) {
            Err(place) => {
                fragment.permissions.insert(place, (channel, purpose, register));
                said = true;
            }
            Ok(place) => {
                let held = &mut fragment.permissions[place].2;
                if register.age_key() > held.age_key() {
                    said |= held.value != register.value;
                    *held = register;
                }
            }
        }
    }
    if !event.permissions.is_empty() {
        keep_newest(&mut fragment.permissions, limits.permissions, Register::age_key);
    }
    said
}

fn refs<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) -> bool {
    let mut said = false;
    for mention in &event.refs {
        let register = RefRegister {
            status: mention.status,
            kind_of_event: event.kind_of_event,
            time: event.time,
            source: event.source,
            event: event.id,
        };
        match nested_place_of(&fragment.refs, mention.kind, mention.id) {
            Err(place) => {
                fragment.refs.insert(place, (mention.kind, mention.id, register));
                said = true;
            }
            Ok(place) => {
                let held = &mut fragment.refs[place].2;
                if register.age_key() > held.age_key() {
                    said |= held.status != register.status || held.kind_of_event != register.kind_of_event;
                    *held = register;
                }
            }
        }
    }
    if !event.refs.is_empty() {
        keep_newest(&mut fragment.refs, limits.refs, RefRegister::age_key);
    }
    said
}

fn groups<'a>(fragment: &mut Fragment<'a>, event: &Event<'a>, limits: &Limits) -> bool {
    let mut said = false;
    let age_key = (event.time, event.source, event.id);
    for (kind, value) in &event.groups {
        match nested_place_of(&fragment.groups, kind, value) {
            Err(place) => {
                fragment.groups.insert(place, (kind, value, age_key));
                said = true;
            }
            Ok(place) => {
                let held = &mut fragment.groups[place].2;
                *held = age_key.max(*held);
            }
        }
    }
    if !event.groups.is_empty() {
        keep_newest(&mut fragment.groups, limits.groups, |age_key| *age_key);
    }
    said
}

/// Drop the oldest entries past the limit.
fn keep_newest<'a, Value: Copy, Key: Ord>(
    entries: &mut Nested<'a, Value>,
    limit: usize,
    age_key: impl Fn(&Value) -> Key,
) {
    let excess = entries.len().saturating_sub(limit);
    if excess == 0 {
        return;
    }
    let mut ages: Vec<(Key, &'a str, &'a str)> =
        entries.iter().map(|(outer, inner, value)| (age_key(value), *outer, *inner)).collect();
    ages.sort();
    ages.truncate(excess);
    entries.retain(|(outer, inner, _)| !ages.iter().any(|(_, one, other)| one == outer && other == inner));
}
