//! What all fragments of a partition go by.

use crate::input::Input;
use crate::refusal::Read;

/// How many entries of each part are kept, or shown.
#[derive(Clone, Copy)]
pub struct Limits {
    pub traits: usize,
    pub trusted: usize,
    pub types: usize,
    pub days: usize,
    pub refs: usize,
    pub groups: usize,
    pub permissions: usize,
    pub recent: usize,
    pub identifiers: usize,
}

impl Limits {
    fn read(input: &mut Input<'_>) -> Read<Self> {
        Ok(Limits {
            traits: input.size()?,
            trusted: input.size()?,
            types: input.size()?,
            days: input.size()?,
            refs: input.size()?,
            groups: input.size()?,
            permissions: input.size()?,
            recent: input.size()?,
            identifiers: input.size()?,
        })
    }
}

pub struct Settings<'a> {
    pub era: i64,
    pub document_size_bytes_max: usize,
    /// Of a dedupe row's entries, past which it is split.
    pub entries_size_bytes_max: usize,
    /// From so many members on, they are joined in bundles.
    pub bundled_from: i64,
    /// What a fragment keeps, and what a document shows.
    pub kept: Limits,
    pub shown: Limits,
    /// Traits of which the best graded value is shown before the newest, in the order of their names.
    pub trusted_traits: Vec<&'a str>,
}

impl<'a> Settings<'a> {
    /// Reads what `state.context.compiled` packs.
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut input = Input::new(bytes);
        Ok(Settings {
            era: input.long()?,
            document_size_bytes_max: input.size()?,
            entries_size_bytes_max: input.size()?,
            bundled_from: input.long()?,
            kept: Limits::read(&mut input)?,
            shown: Limits::read(&mut input)?,
            trusted_traits: {
                let mut names = Vec::new();
                for _ in 0..input.size()? {
                    names.push(input.text()?);
                }
                names
            },
        })
    }
}
