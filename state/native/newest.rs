//! What wins among several fragments: `state.winners`, and how `state.join` lets resting members go before attached ones.
//!
//! Only a strictly greater register wins, so of two that are equal the first source's stands.

use std::borrow::Cow;

use crate::fragment::{AgeKey, RefRegister, Register, Touch};
use crate::json::write_text;
use crate::part::Source;
use crate::refusal::{demand, Read};
use crate::sorted::{nested_place_of, place_of, Nested, Sorted};

/// What a register says, and by which kind where only attached members say so.
#[derive(Clone, Copy)]
pub struct Said<'x, Value> {
    pub register: Value,
    pub via: Option<&'x str>,
}

/// A register that is shown; `claim` is a newer one of a lower grade.
#[derive(Clone, Copy)]
pub struct Fact<'x> {
    pub said: Said<'x, Register<'x>>,
    pub claim: Option<Said<'x, Register<'x>>>,
}

/// A line that is shown.
#[derive(Clone, Copy)]
pub struct Contact<'x> {
    pub touch: &'x Touch<'x>,
    pub via: Option<&'x str>,
}

/// The newest register of each trait: those of resting sources go before those of attached ones.
pub fn traits<'x>(resting: &[Source<'x>], attached: &[Source<'x>], limit: usize) -> Sorted<'x, Fact<'x>> {
    let mut facts = newest_traits(resting);
    for (name, fact) in newest_traits(attached) {
        if let Err(place) = place_of(&facts, name) {
            facts.insert(place, (name, fact));
        }
    }
    if facts.len() > limit {
        facts.sort_by(|(one, fact), (other, than)| {
            (than.said.register.age_key(), other).cmp(&(fact.said.register.age_key(), one))
        });
        facts.truncate(limit);
        facts.sort_by_key(|(name, _)| *name);
    }
    facts
}

fn newest_traits<'x>(sources: &[Source<'x>]) -> Sorted<'x, Fact<'x>> {
    let mut facts: Sorted<'x, Fact<'x>> = Vec::new();
    for source in sources {
        let is_first = facts.is_empty();
        for (name, register) in &source.content.traits {
            let fact = Fact { said: Said { register: *register, via: source.via }, claim: None };
            if is_first {
                facts.push((name, fact));
                continue;
            }
            match place_of(&facts, name) {
                Err(place) => facts.insert(place, (name, fact)),
                Ok(place) => {
                    if register.age_key() > facts[place].1.said.register.age_key() {
                        facts[place].1 = fact;
                    }
                }
            }
        }
    }
    facts
}

/// The best graded value of a trait, and the newest one where that is another; None if nobody says any.
pub fn trusted<'x>(name: &str, sources: &[Source<'x>]) -> Read<Option<(&'x str, Fact<'x>)>> {
    let mut newest: Option<Said<'x, Register<'x>>> = None;
    let mut best: Option<Said<'x, Register<'x>>> = None;
    let mut named = None;
    for Source { content, via } in sources {
        let of_traits = content.traits.iter().find(|(each, _)| *each == name);
        let of_trusted = content.trusted.iter().find(|(each, _)| *each == name);
        // Where none is kept by itself, it is the newest one.
        demand(of_traits.is_some() || !matches!(of_trusted, Some((_, None))))?;
        let registers = [
            of_traits.map(|(each, register)| (*each, *register)),
            of_trusted.and_then(|(each, register)| register.map(|register| (*each, register))),
        ];
        for (each, register) in registers.into_iter().flatten() {
            named = Some(each);
            let said = Said { register, via: *via };
            if newest.is_none_or(|held| register.age_key() > held.register.age_key()) {
                newest = Some(said);
            }
            if best.is_none_or(|held| register.trust_key() > held.register.trust_key()) {
                best = Some(said);
            }
        }
    }
    let (Some(name), Some(newest), Some(best)) = (named, newest, best) else { return Ok(None) };
    let claim = (newest.register.value != best.register.value).then_some(newest);
    Ok(Some((name, Fact { said: best, claim })))
}

pub fn permissions<'x>(
    resting: &[Source<'x>],
    attached: &[Source<'x>],
    limit: usize,
) -> Nested<'x, Said<'x, Register<'x>>> {
    let of = |sources| newest(sources, |content| &content.permissions, Register::age_key);
    let mut facts = first_of(of(attached), of(resting));
    if facts.len() > limit {
        facts.sort_by(|(outer, inner, said), (one, other, than)| {
            (than.register.age_key(), one, other).cmp(&(said.register.age_key(), outer, inner))
        });
        facts.truncate(limit);
        facts.sort_by_key(|(outer, inner, _)| (*outer, *inner));
    }
    facts
}

/// Kind, id and what is said of it, the newest first.
pub fn refs<'x>(
    resting: &[Source<'x>],
    attached: &[Source<'x>],
    limit: usize,
) -> Nested<'x, Said<'x, RefRegister<'x>>> {
    let of = |sources| newest(sources, |content| &content.refs, RefRegister::age_key);
    let mut refs = first_of(of(attached), of(resting));
    refs.sort_by(|(kind, id, said), (one, other, than)| {
        (than.register.age_key(), one, other).cmp(&(said.register.age_key(), kind, id))
    });
    refs.truncate(limit);
    refs
}

/// Kinds that a resting source tells go before the same kinds of attached ones.
pub fn groups<'x>(resting: &[Source<'x>], attached: &[Source<'x>], limit: usize) -> Nested<'x, Said<'x, AgeKey<'x>>> {
    let mut groups = united_groups(resting);
    for entry in united_groups(attached) {
        if !resting.iter().any(|source| source.content.groups.iter().any(|(kind, _, _)| *kind == entry.0)) {
            groups.push(entry);
        }
    }
    if groups.len() > limit {
        groups.sort_by(|(outer, inner, said), (one, other, than)| {
            (than.register, one, other).cmp(&(said.register, outer, inner))
        });
        groups.truncate(limit);
    }
    groups.sort_by_key(|(kind, value, _)| (*kind, *value));
    groups
}

/// All groups, each with the newest event that told it, by the kind of the first that told any of its kind.
fn united_groups<'x>(sources: &[Source<'x>]) -> Nested<'x, Said<'x, AgeKey<'x>>> {
    let mut groups: Nested<'x, Said<'x, AgeKey<'x>>> = Vec::new();
    for source in sources {
        for (kind, value, age_key) in &source.content.groups {
            match nested_place_of(&groups, kind, value) {
                Ok(place) => groups[place].2.register = groups[place].2.register.max(*age_key),
                Err(place) => {
                    let told = groups.iter().find(|(each, _, _)| each == kind);
                    let via = told.map_or(source.via, |(_, _, said)| said.via);
                    groups.insert(place, (kind, value, Said { register: *age_key, via }));
                }
            }
        }
    }
    groups
}

fn newest<'x, Value: Copy + 'x, Key: Ord>(
    sources: &[Source<'x>],
    entries_of: impl Fn(&'x crate::fragment::Fragment<'x>) -> &'x Nested<'x, Value>,
    age_key: impl Fn(&Value) -> Key,
) -> Nested<'x, Said<'x, Value>> {
    let mut facts: Nested<'x, Said<'x, Value>> = Vec::new();
    for source in sources {
        for (outer, inner, register) in entries_of(source.content) {
            let said = Said { register: *register, via: source.via };
            match nested_place_of(&facts, outer, inner) {
                Err(place) => facts.insert(place, (outer, inner, said)),
                Ok(place) => {
                    if age_key(register) > age_key(&facts[place].2.register) {
                        facts[place].2 = said;
                    }
                }
            }
        }
    }
    facts
}

/// Both, of which `stronger` holds where both say something.
fn first_of<'x, Value>(weaker: Nested<'x, Value>, stronger: Nested<'x, Value>) -> Nested<'x, Value> {
    let mut facts = stronger;
    for (outer, inner, value) in weaker {
        if let Err(place) = nested_place_of(&facts, outer, inner) {
            facts.insert(place, (outer, inner, value));
        }
    }
    facts
}

/// The newest lines as JSON, at most `limit` of them.
pub fn recent<'x>(sources: &[Source<'x>], limit: usize) -> Read<Vec<Cow<'x, [u8]>>> {
    if let [source] = sources {
        return Ok(source.content.recent.iter().take(limit).map(|touch| Cow::Borrowed(&*touch.shown)).collect());
    }
    let mut contacts: Vec<Contact<'x>> = sources
        .iter()
        .flat_map(|source| source.content.recent.iter().map(|touch| Contact { touch, via: source.via }))
        .collect();
    let mut times: Vec<i64> = contacts.iter().map(|contact| contact.touch.time).collect();
    times.sort_unstable();
    if times.windows(2).any(|pair| pair[0] == pair[1]) {
        let mut keyed = Vec::with_capacity(contacts.len());
        for contact in contacts {
            keyed.push((contact.touch.time, contact.touch.named()?, contact));
        }
        keyed.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
        contacts = keyed.into_iter().map(|(_, _, contact)| contact).collect();
    } else {
        contacts.sort_by_key(|contact| std::cmp::Reverse(contact.touch.time));
    }
    contacts.truncate(limit);
    Ok(contacts.into_iter().map(shown).collect())
}

fn shown<'x>(contact: Contact<'x>) -> Cow<'x, [u8]> {
    let line: &'x [u8] = &contact.touch.shown;
    let Some(via) = contact.via else { return Cow::Borrowed(line) };
    let mut marked = line[..line.len().saturating_sub(1)].to_vec();
    marked.extend_from_slice(b",\"via\":");
    write_text(&mut marked, via);
    marked.push(b'}');
    Cow::Owned(marked)
}

/// The newest interaction in the direction.
pub fn last<'x>(sources: &[Source<'x>], direction: &str) -> Read<Option<Contact<'x>>> {
    let mut last: Option<Contact<'x>> = None;
    for source in sources {
        let Some(touch) = source.content.last_touch(direction) else { continue };
        let is_newer = match last {
            None => true,
            Some(held) => touch.is_newer_than(held.touch)?,
        };
        if is_newer {
            last = Some(Contact { touch, via: source.via });
        }
    }
    Ok(last)
}
