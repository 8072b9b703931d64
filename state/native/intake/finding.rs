//! What enrichers look at, as it is asked for, and what they found out, as one JSON object.

use super::event::{start_of, Event};
use super::moment::original_of;
use super::settings::{Look, Settings};
use super::said::write_traits;
use super::tree::Tree;
use crate::input::Input;
use crate::json::{write_comma, write_text};
use crate::refusal::{demand, Read, Refusal};

const TIME: &str = "time";

/// What became of looks, by the numbers that Python gives to their outcomes.
pub type Counts = Vec<u32>;

/// The texts in an event's data that enrichers look at, each with the look that it is for.
pub fn texts<'t, 's>(
    tree: &'t Tree<'_>,
    event: &Event<'_, '_>,
    settings: &'s Settings<'_>,
    mut take: impl FnMut(&'s Look<'_>, &'t str) -> Read<()>,
) -> Read<()> {
    for look in &settings.looks {
        let Some(node) = member(tree, event.data, look.field) else { continue };
        let node = if look.member.is_empty() {
            Some(node)
        } else if tree.is_object(node) {
            member(tree, node, look.member)
        } else {
            None
        };
        let Some(text) = node.and_then(|node| tree.text(node).ok()).filter(|text| !text.is_empty()) else { continue };
        if look.length == 0 {
            demand(text.len() <= settings.bounds.text_size_bytes)?;
            take(look, text)?;
        } else {
            take(look, start_of(text, look.length))?;
        }
    }
    Ok(())
}

fn member(tree: &Tree<'_>, object: usize, name: &str) -> Option<usize> {
    tree.members(object).find(|(key, _)| *key == name).map(|(_, node)| node)
}

/// What was found out about one event.
#[derive(Default)]
pub struct Findings<'a> {
    /// The event's traits as they are to be, encoded; None where nobody looked at any.
    pub traits: Option<&'a [u8]>,
    /// What is told under a name, as JSON.
    told: Vec<(&'a str, &'a [u8])>,
    time: Option<&'a str>,
    /// Numbers of outcomes, and how many there were of each.
    counted: Vec<(u8, u8)>,
}

impl<'a> Findings<'a> {
    pub fn read<'t: 'a>(
        tree: &'t Tree<'_>,
        event: &Event<'t, '_>,
        settings: &'a Settings<'_>,
        mut supply: impl FnMut() -> Read<&'a [u8]>,
    ) -> Read<Self> {
        let mut findings = Findings::default();
        if settings.reads_traits && event.members.traits.is_some() {
            findings.read_traits(supply()?)?;
        }
        texts(tree, event, settings, |look, _| {
            let (outcome, found) = supply()?.split_first().ok_or(Refusal)?;
            // The first place that says something counts, and others are not looked at.
            if findings.told.iter().all(|(name, _)| *name != look.enricher) {
                findings.counted.push((*outcome, 1));
                if !found.is_empty() {
                    findings.told.push((look.enricher, found));
                }
            }
            Ok(())
        })?;
        if let (Some(outcome), Some(original)) = (settings.time_outcome, original_of(event.time_text)) {
            findings.counted.push((outcome, 1));
            findings.time = Some(original);
        }
        findings.told.sort_unstable();
        Ok(findings)
    }

    fn read_traits(&mut self, answer: &'a [u8]) -> Read<()> {
        let mut input = Input::new(answer);
        for _ in 0..input.take(1)?[0] {
            let counted = input.take(2)?;
            self.counted.push((counted[0], counted[1]));
        }
        for _ in 0..input.take(1)?[0] {
            let name = input.text()?;
            let size = input.size()?;
            self.told.push((name, input.take(size)?));
        }
        self.traits = Some(input.rest());
        Ok(())
    }

    /// As one JSON object; nothing where nothing was found out.
    pub fn write(&self, out: &mut Vec<u8>, size_bytes_max: usize) -> Read<()> {
        if self.told.is_empty() && self.time.is_none() {
            return Ok(());
        }
        let start = out.len();
        out.push(b'{');
        for (name, told) in &self.told {
            write_comma(out);
            write_text(out, name);
            out.push(b':');
            out.extend_from_slice(told);
        }
        // The last of all names.
        if let Some(original) = self.time {
            demand(self.told.last().is_none_or(|(name, _)| *name < TIME))?;
            write_comma(out);
            write_text(out, TIME);
            out.extend_from_slice(b":{\"original\":");
            write_text(out, original);
            out.push(b'}');
        }
        out.push(b'}');
        demand(out.len() - start <= size_bytes_max)
    }

    pub fn count(&self, counts: &mut Counts) -> Read<()> {
        for (outcome, count) in &self.counted {
            *counts.get_mut(usize::from(*outcome)).ok_or(Refusal)? += u32::from(*count);
        }
        Ok(())
    }
}

/// Write the traits as they are asked for.
pub fn write_asked_traits(out: &mut Vec<u8>, tree: &Tree<'_>, event: &Event<'_, '_>, settings: &Settings<'_>) -> Read<()> {
    let start = out.len();
    write_traits(out, tree, event.members.traits, &settings.bounds, false)?;
    demand(out.len() - start <= settings.bounds.trait_set_size_bytes)
}
