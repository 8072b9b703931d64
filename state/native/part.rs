//! One fragment of a customer, as it is joined.

use crate::fragment::{Count, Fragment};
use crate::identity::Identity;

pub const SHARED: &str = "shared";
pub const JOINED: &str = "joined";
pub const ATTACHED: &str = "attached";
const LOGIN: i64 = 2;

pub struct Part<'x> {
    pub identity: Identity<'x>,
    pub role: &'x str,
    pub grade: i64,
    /// First and last sight by identity.
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub content: &'x Fragment<'x>,
    /// Whether the snapshot that belongs to its present place is still on the way.
    pub is_settling: bool,
}

/// A fragment, and the kind that it is shown by where it is attached.
#[derive(Clone, Copy)]
pub struct Source<'x> {
    pub content: &'x Fragment<'x>,
    pub via: Option<&'x str>,
}

impl<'x> Part<'x> {
    /// First and last time that identity or an event saw the identifier.
    pub fn sight(&self) -> (Option<i64>, Option<i64>) {
        let Some(Count { first, last, .. }) = self.content.total else {
            return (self.first, self.first.map_or(self.last, |first| self.last.map(|last| last.max(first))));
        };
        match self.first {
            None => (Some(first), Some(last)),
            // Identity keeps the last one by the start of a span of days, which may lie before the first.
            Some(seen) => (Some(seen.min(first)), Some(seen.max(last).max(self.last.unwrap_or(0)))),
        }
    }

    pub fn is_attached(&self) -> bool {
        self.role == ATTACHED
    }
}

/// How sure it is who the customer is that rests on these.
pub fn level(resting: &[Part<'_>]) -> &'static str {
    let mut level = "anonymous";
    for part in resting {
        if part.identity.is_identifying && (part.grade >= LOGIN || part.role == JOINED) {
            return "identified";
        }
        if part.identity.is_medium {
            level = "recognised";
        }
    }
    level
}

/// The word for a grade; what nothing graded is claimed.
pub fn grade_label(grade: i64) -> &'static str {
    match grade {
        2 => "login",
        3 => "record",
        _ => "claimed",
    }
}
