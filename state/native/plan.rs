//! What has to be at hand before a piece is taken in: which identifiers, and the dedupe rows of which days.

use crate::input::write_size;
use crate::message::{self, outline};
use crate::piece::{Piece, Queue};
use crate::record::Outline;
use crate::refusal::{demand, Read, Refusal};
use crate::settings::Settings;
use crate::time::day_text;

/// What one fragment needs.
struct Need<'a> {
    /// Its identifier, sealed; empty for one that was never named.
    sealed: &'a [u8],
    /// Whether a message names it now.
    is_named_now: bool,
    /// Whether it has members, whose rows are needed.
    has_members: bool,
    /// Days of which it may have been given events before.
    days: Vec<i64>,
    /// Fragments that become members, and their identifiers, sealed.
    members: Vec<(&'a str, &'a [u8])>,
}

const LEFT: usize = 0;
const TAKEN: usize = 1;
const NAMED_NOW: usize = 2;

/// Answers with six numbers for each fragment: whether it is taken in, and named by what is queued, where its sealed identifier begins in the request
/// and its size, whether it has members, how many days it needs and how many become members; then the days of all, and
/// of all who become members, where name and sealed identifier begin and their sizes.
pub fn plan(request: &[u8], settings: &Settings<'_>) -> Read<Vec<u8>> {
    let piece = Piece::read(request)?;
    // What is borrowed lies in the request.
    let place = |part: &[u8]| part.as_ptr() as usize - request.as_ptr() as usize;
    let mut answer = Vec::with_capacity(32 * piece.fragments.len());
    let (mut days, mut members) = (Vec::new(), Vec::new());
    for queue in &piece.fragments {
        let Ok(need) = need(queue, settings) else {
            for number in [LEFT, 0, 0, 0, 0, 0] {
                write_size(&mut answer, number)?;
            }
            continue;
        };
        let start = if need.sealed.is_empty() { 0 } else { place(need.sealed) };
        let has_members = usize::from(need.has_members);
        let taken = if need.is_named_now { NAMED_NOW } else { TAKEN };
        for number in [taken, start, need.sealed.len(), has_members, need.days.len(), need.members.len()] {
            write_size(&mut answer, number)?;
        }
        for day in &need.days {
            write_size(&mut days, usize::try_from(*day).map_err(|_| Refusal)?)?;
        }
        for (fragment, sealed) in &need.members {
            for number in [place(fragment.as_bytes()), fragment.len(), place(sealed), sealed.len()] {
                write_size(&mut members, number)?;
            }
        }
    }
    answer.extend_from_slice(&days);
    answer.extend_from_slice(&members);
    Ok(answer)
}

fn need<'a>(queue: &Queue<'a>, settings: &Settings<'_>) -> Read<Need<'a>> {
    let record = Outline::decode(queue.row)?;
    let has_members = record.members > 0;
    demand(record.members < settings.bundled_from)?;
    let mut need =
        Need { sealed: record.sealed, is_named_now: false, has_members, days: Vec::new(), members: Vec::new() };
    let mut is_named = !record.kind.is_empty();
    for message in &queue.messages {
        if (settings.era, message.offset) <= (record.era, record.offset) {
            continue;
        }
        match outline(message.value)? {
            message::Outline::Own { sealed, day } => {
                demand(!sealed.is_empty())?;
                if !is_named {
                    need.sealed = sealed;
                    is_named = true;
                    need.is_named_now = true;
                }
                let Some(day) = day else { continue };
                // Whoever says that an event comes too late has the words for it.
                demand(day >= record.horizon_day)?;
                let text = day_text(day);
                let is_first = record.newest_day.is_none_or(|newest| &text[..] > newest.as_bytes());
                if !is_first && !need.days.contains(&day) {
                    need.days.push(day);
                }
            }
            message::Outline::Member { fragment, sealed } => {
                demand(!sealed.is_empty())?;
                need.members.push((fragment, sealed));
            }
            message::Outline::Other => {}
        }
    }
    Ok(need)
}
