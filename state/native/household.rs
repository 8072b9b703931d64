//! A fragment and its members, as a customer's parts.

use crate::identity::Identity;
use crate::member::Member;
use crate::part::{Part, SHARED};
use crate::piece::Supplied;
use crate::record::Record;
use crate::refusal::{demand, Read};
use crate::settings::Settings;

struct Known<'a> {
    fragment: &'a str,
    /// Its identifier as Python packs it.
    identity: &'a [u8],
    /// None for one that was never heard of.
    member: Option<Member<'a>>,
    is_changed: bool,
}

/// All fragments that an owner ever heard of, and those that it may come to hear of now.
pub struct Household<'a> {
    known: Vec<Known<'a>>,
}

impl<'a> Household<'a> {
    pub fn of(supplied: &[Supplied<'a>]) -> Read<Self> {
        let mut known = Vec::with_capacity(supplied.len());
        for Supplied { fragment, row, identity } in supplied {
            let member = if row.is_empty() { None } else { Some(Member::decode(row)?) };
            known.push(Known { fragment, identity, member, is_changed: false });
        }
        Ok(Household { known })
    }

    fn count(&self) -> usize {
        self.known.iter().filter(|known| known.member.is_some()).count()
    }

    /// The member, a new one if it was never heard of: then the record counts one more.
    pub fn member(&mut self, fragment: &'a str, record: &mut Record<'a>) -> Read<&mut Member<'a>> {
        let place = match self.known.iter().position(|known| known.fragment == fragment) {
            Some(place) => place,
            None => {
                self.known.push(Known { fragment, identity: b"", member: None, is_changed: false });
                self.known.len() - 1
            }
        };
        if self.known[place].member.is_none() {
            self.known[place].member = Some(Member::unheard_of());
            record.members = i64::try_from(self.count()).map_err(|_| crate::refusal::Refusal)?;
        }
        self.known[place].member.as_mut().ok_or(crate::refusal::Refusal)
    }

    pub fn change(&mut self, fragment: &str) {
        for known in self.known.iter_mut().filter(|known| known.fragment == fragment) {
            known.is_changed = true;
        }
    }

    pub fn changed(&self) -> impl Iterator<Item = (&'a str, &Member<'a>)> {
        self.known.iter().filter(|known| known.is_changed).filter_map(|known| Some((known.fragment, known.member.as_ref()?)))
    }
}

/// The home, and the members that are wanted: those that are attached last, each in the order of identifiers.
pub fn parts<'x>(
    record: &'x Record<'x>,
    identity: &'x [u8],
    household: &'x Household<'x>,
    settings: &Settings<'_>,
) -> Read<Vec<Part<'x>>> {
    // Many are joined in bundles, and what is out of date of a former one's values takes the normalisers.
    demand(record.members < settings.bundled_from && !record.former)?;
    let mut members = Vec::new();
    for known in &household.known {
        let Some(member) = known.member.as_ref().filter(|member| member.wanted) else { continue };
        demand(!member.former)?;
        members.push(Part {
            identity: Identity::read(known.identity)?,
            role: member.role,
            grade: member.grade,
            first: member.first,
            last: member.last,
            content: &member.content,
            is_settling: member.is_settling(),
        });
    }
    members.sort_by(|one, other| (one.is_attached(), one.identity.order()).cmp(&(other.is_attached(), other.identity.order())));
    let identity = Identity::read(identity)?;
    // What is never evidence is nobody's own, unless an operator required that somebody is the same.
    let role = if members.is_empty() && identity.is_nobodys { SHARED } else { record.state };
    let mut parts = Vec::with_capacity(1 + members.len());
    parts.push(Part {
        identity,
        role,
        grade: record.grade.max(record.content.grade),
        first: record.first,
        last: record.last,
        content: &record.content,
        is_settling: false,
    });
    parts.append(&mut members);
    Ok(parts)
}
