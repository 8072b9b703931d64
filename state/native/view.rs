//! What a context says before it is written out: `state.join`.

use std::borrow::Cow;

use crate::fragment::{AgeKey, Count, RefRegister, Register};
use crate::identity::OTHER_KIND;
use crate::newest::{groups, last, permissions, recent, refs, traits, trusted, Contact, Fact, Said};
use crate::part::{level, Part, Source, SHARED};
use crate::refusal::{Read, Refusal};
use crate::settings::Settings;
use crate::sorted::{set, Nested, Sorted};
use crate::tally::{counts, days, total, DayCount};

pub struct View<'x> {
    pub is_settling: bool,
    pub realm: &'x str,
    pub level: &'static str,
    pub strongest: &'x str,
    /// Those that are shown, the strongest kind first.
    pub identifiers: Vec<&'x Part<'x>>,
    /// Withdrawn traits are among them.
    pub traits: Sorted<'x, Fact<'x>>,
    pub permissions: Nested<'x, Said<'x, Register<'x>>>,
    /// Newest first.
    pub refs: Nested<'x, Said<'x, RefRegister<'x>>>,
    pub groups: Nested<'x, Said<'x, AgeKey<'x>>>,
    pub total: Count,
    pub channels: Cow<'x, [(&'x str, Count)]>,
    pub types: Cow<'x, [(&'x str, Count)]>,
    pub days: Cow<'x, [DayCount<'x>]>,
    pub last_in: Option<Contact<'x>>,
    pub last_out: Option<Contact<'x>>,
    /// Newest first.
    pub recent: Vec<Cow<'x, [u8]>>,
}

impl<'x> View<'x> {
    /// What a customer's parts say: the home, and then the others, those that are attached last, each in the order of
    /// identifiers. None for one without events.
    pub fn of(parts: &'x [Part<'x>], settings: &Settings<'_>) -> Read<Option<Self>> {
        let home = parts.first().ok_or(Refusal)?;
        // The home itself rests on nobody, whatever its role is called.
        let resting_count = 1 + parts[1..].iter().take_while(|part| !part.is_attached()).count();
        let (resting, attached) = parts.split_at(resting_count);
        let is_shared = home.role == SHARED;
        let limits = &settings.shown;
        let resting_sources: Vec<Source<'x>> =
            resting.iter().map(|part| Source { content: part.content, via: None }).collect();
        let attached_sources: Vec<Source<'x>> = attached
            .iter()
            .map(|part| Source { content: part.content, via: Some(part.identity.shown_kind()) })
            .collect();
        let mut sources = resting_sources.clone();
        sources.extend_from_slice(&attached_sources);
        let Some(total) = total(&sources) else { return Ok(None) };
        let mut view = View {
            is_settling: parts[1..].iter().any(|part| part.is_settling),
            realm: home.identity.realm,
            level: if is_shared { SHARED } else { level(resting) },
            strongest: strongest(resting).or_else(|| strongest(attached)).unwrap_or(OTHER_KIND),
            identifiers: Vec::new(),
            traits: Vec::new(),
            permissions: Vec::new(),
            refs: Vec::new(),
            groups: Vec::new(),
            total,
            channels: counts(&sources, |content| &content.channels),
            types: first(counts(&sources, |content| &content.types), limits.types),
            days: days(&sources, limits.days),
            last_in: None,
            last_out: None,
            recent: Vec::new(),
        };
        if is_shared {
            return Ok(Some(view));
        }
        view.identifiers = identifiers(parts, limits.identifiers);
        view.traits = traits(&resting_sources, &attached_sources, limits.traits);
        if sources.iter().any(|source| !source.content.trusted.is_empty()) {
            for name in &settings.trusted_traits {
                let fact = match trusted(name, &resting_sources)? {
                    None => trusted(name, &attached_sources)?,
                    said => said,
                };
                if let Some((name, fact)) = fact {
                    set(&mut view.traits, name, fact);
                }
            }
        }
        view.permissions = permissions(&resting_sources, &attached_sources, limits.permissions);
        view.refs = refs(&resting_sources, &attached_sources, limits.refs);
        view.groups = groups(&resting_sources, &attached_sources, limits.groups);
        view.recent = recent(&sources, limits.recent)?;
        view.last_in = last(&sources, "in")?;
        view.last_out = last(&sources, "out")?;
        Ok(Some(view))
    }
}

fn first<'x>(counts: Cow<'x, [(&'x str, Count)]>, limit: usize) -> Cow<'x, [(&'x str, Count)]> {
    match counts {
        Cow::Borrowed(counts) => Cow::Borrowed(&counts[..counts.len().min(limit)]),
        Cow::Owned(mut counts) => {
            counts.truncate(limit);
            Cow::Owned(counts)
        }
    }
}

/// The strongest kind that may be shown.
fn strongest<'x>(parts: &[Part<'x>]) -> Option<&'x str> {
    let shown = parts.iter().filter(|part| !part.identity.is_hidden);
    shown.map(|part| (part.identity.position, part.identity.kind)).min().map(|(_, kind)| kind)
}

fn identifiers<'x>(parts: &'x [Part<'x>], limit: usize) -> Vec<&'x Part<'x>> {
    let mut shown: Vec<&Part<'x>> = parts.iter().filter(|part| !part.identity.is_hidden).collect();
    shown.sort_by_key(|part| (part.identity.position, part.identity.order()));
    shown.truncate(limit);
    shown
}
