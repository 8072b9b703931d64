//! Why something is left to the general path: it has a form that this one does not read, or asks for more than it does.

/// Nothing is said of the reason: whoever goes over it again finds it, and has the words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal;

pub type Read<T> = Result<T, Refusal>;

/// Refuse unless it holds.
pub fn demand(holds: bool) -> Read<()> {
    if holds { Ok(()) } else { Err(Refusal) }
}
