//! The fragments of one piece of a drain, as `state.context.compiled` packs them.

use crate::input::Input;
use crate::refusal::{demand, Read, Refusal};

/// A queued message: its value, its offset and its place in the queue.
#[derive(Clone, Copy)]
pub struct Queued<'a> {
    pub value: &'a [u8],
    pub offset: i64,
    pub place: usize,
}

pub struct Piece<'a> {
    pub fragments: Vec<Queue<'a>>,
}

/// One fragment, its row, and what is queued for it.
pub struct Queue<'a> {
    pub fragment: &'a str,
    pub row: &'a [u8],
    pub messages: Vec<Queued<'a>>,
}

impl<'a> Piece<'a> {
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut input = Input::new(bytes);
        let (fragments, values) = (input.size()?, input.size()?);
        let mut ids = input.sizes(fragments)?;
        let mut rows = input.sizes(fragments)?;
        let mut counts = input.sizes(fragments)?;
        let mut places = input.sizes(values)?;
        let mut sizes = input.sizes(values)?;
        let mut offsets = input.longs(values)?;
        let mut names = Vec::with_capacity(fragments);
        for _ in 0..fragments {
            names.push(std::str::from_utf8(input.take(ids.size()?)?).map_err(|_| Refusal)?);
        }
        let mut queues = Vec::with_capacity(fragments);
        for fragment in names {
            let row = input.take(rows.size()?)?;
            let count = counts.size()?;
            demand(count <= values)?;
            let mut messages = Vec::with_capacity(count);
            for _ in 0..count {
                let value = input.take(sizes.size()?)?;
                messages.push(Queued { value, offset: offsets.long()?, place: places.size()? });
            }
            queues.push(Queue { fragment, row, messages });
        }
        demand(input.is_done())?;
        Ok(Piece { fragments: queues })
    }
}

/// What else is needed of a fragment.
pub struct Supply<'a> {
    /// Whether it is taken in, and not left to the general path.
    pub is_taken: bool,
    /// Its identifier as Python packs it, which may be empty for one that was never named.
    pub identity: &'a [u8],
    /// Its dedupe rows of some days.
    pub days: Vec<(i64, &'a [u8])>,
    pub members: Vec<Supplied<'a>>,
}

/// A member, its row, which is empty before it is one, and its identifier, which may be empty while it is not wanted.
pub struct Supplied<'a> {
    pub fragment: &'a str,
    pub row: &'a [u8],
    pub identity: &'a [u8],
}

/// Reads what `plan` asked for: identifiers, dedupe rows and members, each of all fragments together.
pub fn supplies<'a>(bytes: &'a [u8], fragments: usize) -> Read<Vec<Supply<'a>>> {
    let mut input = Input::new(bytes);
    let (all_days, all_members) = (input.size()?, input.size()?);
    let mut taken = input.sizes(fragments)?;
    let mut day_counts = input.sizes(fragments)?;
    let mut member_counts = input.sizes(fragments)?;
    let mut days = input.sizes(all_days)?;
    let mut identity_sizes = input.sizes(fragments)?;
    let mut day_sizes = input.sizes(all_days)?;
    let mut member_sizes = input.sizes(all_members.checked_mul(3).ok_or(Refusal)?)?;
    let mut identities = Input::new(input.take(sum(identity_sizes)?)?);
    let mut rows = Input::new(input.take(sum(day_sizes)?)?);
    let mut supplies = Vec::with_capacity(fragments);
    for _ in 0..fragments {
        let mut supply = Supply {
            is_taken: taken.size()? != 0,
            identity: identities.take(identity_sizes.size()?)?,
            days: Vec::new(),
            members: Vec::new(),
        };
        for _ in 0..day_counts.size()? {
            let day = i64::try_from(days.size()?).map_err(|_| Refusal)?;
            supply.days.push((day, rows.take(day_sizes.size()?)?));
        }
        for _ in 0..member_counts.size()? {
            let fragment = input.take(member_sizes.size()?)?;
            supply.members.push(Supplied {
                fragment: std::str::from_utf8(fragment).map_err(|_| Refusal)?,
                row: input.take(member_sizes.size()?)?,
                identity: input.take(member_sizes.size()?)?,
            });
        }
        supplies.push(supply);
    }
    demand(input.is_done())?;
    Ok(supplies)
}

fn sum(sizes: Input<'_>) -> Read<usize> {
    let mut left = sizes;
    let mut sum = 0_usize;
    while !left.is_done() {
        sum = sum.checked_add(left.size()?).ok_or(Refusal)?;
    }
    Ok(sum)
}
