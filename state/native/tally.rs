//! Counts added up: an event is folded into one fragment only.

use std::borrow::Cow;

use crate::fragment::{Count, Fragment};
use crate::part::Source;
use crate::sorted::place_of;
use crate::time::DayText;

/// A day, a channel and how many events there were.
pub type DayCount<'x> = (DayText, &'x str, i64);

pub fn total(sources: &[Source<'_>]) -> Option<Count> {
    sources.iter().filter_map(|source| source.content.total).reduce(|one, other| added(&one, &other))
}

fn added(one: &Count, other: &Count) -> Count {
    Count { count: one.count + other.count, first: one.first.min(other.first), last: one.last.max(other.last) }
}

/// Counts by name.
pub fn counts<'x>(
    sources: &[Source<'x>],
    counts_of: impl Fn(&'x Fragment<'x>) -> &'x Vec<(&'x str, Count)>,
) -> Cow<'x, [(&'x str, Count)]> {
    let Some((first, others)) = sources.split_first() else { return Cow::Borrowed(&[]) };
    let mut counts = Cow::Borrowed(counts_of(first.content).as_slice());
    for source in others {
        for (name, count) in counts_of(source.content) {
            let held = counts.to_mut();
            match place_of(held, name) {
                Ok(place) => held[place].1 = added(&held[place].1, count),
                Err(place) => held.insert(place, (name, *count)),
            }
        }
    }
    counts
}

/// Counts by day and channel, of the newest days.
pub fn days<'x>(sources: &[Source<'x>], limit: usize) -> Cow<'x, [DayCount<'x>]> {
    let Some((first, others)) = sources.split_first() else { return Cow::Borrowed(&[]) };
    let mut days: Cow<'x, [DayCount<'x>]> = Cow::Borrowed(&first.content.days);
    for source in others {
        for (day, channel, count) in &source.content.days {
            let held = days.to_mut();
            match held.binary_search_by(|(each, other, _)| (each, *other).cmp(&(day, *channel))) {
                Ok(place) => held[place].2 += count,
                Err(place) => held.insert(place, (*day, channel, *count)),
            }
        }
    }
    let shown: usize = days.chunk_by(|one, other| one.0 == other.0).rev().take(limit).map(<[_]>::len).sum();
    if shown == days.len() {
        return days;
    }
    match days {
        Cow::Borrowed(days) => Cow::Borrowed(&days[days.len() - shown..]),
        Cow::Owned(mut days) => Cow::Owned(days.split_off(days.len() - shown)),
    }
}
