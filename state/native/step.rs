//! One piece of a drain: each of its fragments is taken in, or left to the general path.

use crate::entry::Entry;
use crate::output::Output;
use crate::piece::{supplies, Piece, Queue, Supply};
use crate::refusal::{demand, Read};
use crate::settings::Settings;

/// Answers with what becomes of the piece: see `Output::finished`.
pub fn step(request: &[u8], supply: &[u8], settings: &Settings<'_>) -> Read<Vec<u8>> {
    let piece = Piece::read(request)?;
    let supplies = supplies(supply, piece.fragments.len())?;
    let mut output = Output::default();
    // Documents, rows and interactions are some times as long as what they are made of.
    output.body.reserve(4 * request.len());
    for (number, (queue, supply)) in piece.fragments.iter().zip(&supplies).enumerate() {
        let point = output.point();
        if take(number, queue, supply, settings, &mut output).is_err() {
            output.refuse(number, &point);
        }
    }
    output.finished()
}

fn take(
    number: usize,
    queue: &Queue<'_>,
    supply: &Supply<'_>,
    settings: &Settings<'_>,
    output: &mut Output,
) -> Read<()> {
    demand(supply.is_taken)?;
    let mut entry = Entry::new(number, queue, supply, settings)?;
    entry.take_in(&queue.messages, output)?;
    entry.finish(output)
}
