//! What an event says: its line for people, traits, permissions, references and groups within their bounds, as its message has them.

use std::collections::{BTreeMap, BTreeSet};

use super::canonical::write_value;
use super::event::{bounded, is_kind_name, is_space, is_within, start_of, Members};
use super::settings::Bounds;
use super::tree::{Tree, Value};
use crate::msgpack::{write_array, write_boolean, write_bytes, write_map, write_text};
use crate::refusal::{demand, Read, Refusal};

const REF_FIELDS: usize = 3;
const ELLIPSIS: &str = "…";

/// Traits with their values in canonical JSON, by name or as they came.
pub fn write_traits(
    out: &mut Vec<u8>,
    tree: &Tree<'_>,
    traits: Option<usize>,
    bounds: &Bounds,
    sorts: bool,
) -> Read<()> {
    let mut members: Vec<(&str, usize)> = traits.map_or_else(Vec::new, |node| tree.members(node).collect());
    demand(members.len() <= bounds.traits)?;
    if sorts {
        members.sort_unstable();
    }
    write_map(out, members.len());
    let mut value = Vec::new();
    for (name, node) in members {
        write_text(out, bounded(name, bounds.trait_name)?);
        value.clear();
        write_value(&mut value, tree, node)?;
        demand(value.len() <= bounds.trait_size_bytes)?;
        write_bytes(out, &value);
    }
    Ok(())
}

/// A line for people, cut where it is longer than one may be.
pub fn write_summary(out: &mut Vec<u8>, summary: &str, bounds: &Bounds) {
    if is_within(summary, bounds.summary) {
        write_text(out, summary);
    } else {
        let start = start_of(summary, bounds.summary - ELLIPSIS.chars().count()).trim_end_matches(is_space);
        write_text(out, &format!("{start}{ELLIPSIS}"));
    }
}

/// Channel to purpose to yes or no; channels without purposes are left out.
pub fn write_permissions(out: &mut Vec<u8>, tree: &Tree<'_>, permissions: Option<usize>, bounds: &Bounds) -> Read<()> {
    let mut channels = BTreeMap::new();
    let mut count = 0;
    for (channel, node) in permissions.into_iter().flat_map(|node| tree.members(node)) {
        bounded(channel, bounds.trait_name)?;
        if tree.is_null(node) {
            continue;
        }
        demand(tree.is_object(node))?;
        let mut purposes = BTreeMap::new();
        for (purpose, node) in tree.members(node) {
            let Value::Boolean(allows) = tree.value(node) else { return Err(Refusal) };
            purposes.insert(bounded(purpose, bounds.trait_name)?, *allows);
            count += 1;
        }
        if !purposes.is_empty() {
            channels.insert(channel, purposes);
        }
    }
    demand(count <= bounds.permissions)?;
    write_map(out, channels.len());
    for (channel, purposes) in &channels {
        write_text(out, channel);
        write_map(out, purposes.len());
        for (purpose, allows) in purposes {
            write_text(out, purpose);
            write_boolean(out, *allows);
        }
    }
    Ok(())
}

/// What the event is about: kind, id and status each.
pub fn write_refs(out: &mut Vec<u8>, tree: &Tree<'_>, refs: Option<usize>, bounds: &Bounds) -> Read<()> {
    let Some(refs) = refs else {
        write_array(out, 0);
        return Ok(());
    };
    demand(matches!(tree.value(refs), Value::Array))?;
    let count = tree.elements(refs).count();
    demand(count <= bounds.refs)?;
    write_array(out, count);
    for node in tree.elements(refs) {
        demand(tree.is_object(node))?;
        let (mut kind, mut id, mut status) = ("", "", "");
        for (name, node) in tree.members(node) {
            match name {
                "kind" => kind = tree.text(node)?,
                "id" => id = tree.text_or_integer(node)?,
                "status" if !tree.is_null(node) => status = tree.text_or_integer(node)?,
                _ => {}
            }
        }
        demand(is_within(status, bounds.ref_field))?;
        write_array(out, REF_FIELDS);
        write_text(out, bounded(kind, bounds.ref_field)?);
        write_text(out, bounded(id, bounds.ref_field)?);
        write_text(out, status);
    }
    Ok(())
}

/// Groups that the event names, and those among its identifiers.
pub fn write_groups<'t>(
    out: &mut Vec<u8>,
    tree: &'t Tree<'_>,
    members: &Members<'_>,
    identified: &[(&'t str, &'t str)],
    bounds: &Bounds,
) -> Read<()> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (kind, value) in identified {
        groups.entry(kind).or_default().insert(value);
    }
    for (kind, node) in members.groups.into_iter().flat_map(|node| tree.members(node)) {
        demand(is_kind_name(kind))?;
        let mut add = |node: usize| {
            if !tree.is_null(node) {
                let value = tree.text_or_integer(node)?.trim_matches(is_space);
                demand(is_within(value, bounds.ref_field))?;
                if !value.is_empty() {
                    groups.entry(kind).or_default().insert(value);
                }
            }
            Ok(())
        };
        match tree.value(node) {
            Value::Array => tree.elements(node).try_for_each(&mut add)?,
            _ => add(node)?,
        }
    }
    demand(groups.values().map(BTreeSet::len).sum::<usize>() <= bounds.groups)?;
    write_map(out, groups.len());
    for (kind, values) in &groups {
        write_text(out, kind);
        write_array(out, values.len());
        for value in values {
            write_text(out, value);
        }
    }
    Ok(())
}
