//! The message to the fragment of an event's strongest identifier: `schemas.messages.RoutedEvent`, encoded.

use super::canonical::write_object;
use super::event::{Arrival, Event};
use super::finding::Findings;
use super::said::{write_groups, write_permissions, write_refs, write_summary, write_traits};
use super::settings::Settings;
use super::subject::Subject;
use super::tree::Tree;
use crate::blake2b::digest;
use crate::json::{write_comma, write_integer as write_json_integer, write_text as write_json_text};
use crate::msgpack::{write_array, write_boolean, write_bytes, write_integer, write_text};
use crate::refusal::{demand, Read};

const FIELDS: usize = 24;
/// Enough to tell a copy from a conflict.
const CONTENT_SIZE_BYTES: usize = 4;
const HASH_SIZE_BYTES: usize = 64;

/// All that a message is made of.
pub struct Routed<'r, 't> {
    pub tree: &'t Tree<'t>,
    pub event: &'r Event<'t, 'r>,
    pub subject: &'r Subject<'r, 't>,
    pub findings: &'r Findings<'r>,
    pub arrival: Arrival<'r>,
    pub settings: &'r Settings<'r>,
}

impl Routed<'_, '_> {
    pub fn write(&self, out: &mut Vec<u8>) -> Read<()> {
        let Routed { tree, event, subject, findings, arrival, settings } = self;
        let (members, bounds) = (&event.members, &settings.bounds);
        let start = out.len();
        let (content, data) = self.data()?;
        write_array(out, FIELDS);
        write_text(out, "event");
        // Fragment, kind and sealed identifier.
        out.extend_from_slice(subject.target()?.1);
        write_text(out, event.source);
        write_text(out, event.id);
        write_text(out, event.kind);
        write_integer(out, event.time);
        write_text(out, arrival.channel);
        write_integer(out, event.registered.rank);
        write_integer(out, event.grade);
        write_bytes(out, &content);
        write_boolean(out, event.is_assigned);
        write_text(out, members.direction);
        write_summary(out, members.summary, bounds);
        write_text(out, members.session);
        match findings.traits {
            Some(encoded) => out.extend_from_slice(encoded),
            None => write_traits(out, tree, members.traits, bounds, true)?,
        }
        write_permissions(out, tree, members.permissions, bounds)?;
        write_refs(out, tree, members.refs, bounds)?;
        write_groups(out, tree, members, &subject.groups, bounds)?;
        write_bytes(out, &data);
        write_integer(out, arrival.received_us()?);
        let mut enriched = Vec::new();
        findings.write(&mut enriched, bounds.enriched_size_bytes)?;
        write_bytes(out, &enriched);
        write_array(out, 2);
        write_integer(out, arrival.partition);
        write_integer(out, arrival.offset);
        demand(out.len() - start <= bounds.message_size_bytes)
    }

    /// The first bytes of the hash over all that is the producer's, and the data.
    ///
    /// What differs between copies of one event is left out of the hash, and so is a time that is not the producer's.
    fn data(&self) -> Read<([u8; CONTENT_SIZE_BYTES], Vec<u8>)> {
        let Routed { tree, event, settings, .. } = self;
        let is_transport = |name: &str| settings.transport.contains(&name);
        let mut hashed = Vec::with_capacity(1024);
        hashed.push(b'[');
        write_json_text(&mut hashed, event.kind);
        hashed.push(b',');
        if event.is_assigned {
            hashed.extend_from_slice(b"null");
        } else {
            write_json_integer(&mut hashed, event.time);
        }
        hashed.extend_from_slice(b",{");
        let mut extensions = event.extensions.clone();
        extensions.sort_unstable();
        for (place, (name, value)) in extensions.iter().enumerate() {
            demand(place == 0 || extensions[place - 1].0 != *name)?;
            if !is_transport(name) {
                write_comma(&mut hashed);
                write_json_text(&mut hashed, name);
                hashed.push(b':');
                write_json_text(&mut hashed, value);
            }
        }
        hashed.extend_from_slice(b"}]");
        let start = hashed.len();
        write_object(&mut hashed, tree, event.data, is_transport)?;
        let mut data = Vec::new();
        if tree.members(event.data).any(|(name, _)| is_transport(name)) {
            write_object(&mut data, tree, event.data, |_| false)?;
        } else {
            data.extend_from_slice(&hashed[start..]);
        }
        let mut content = [0; CONTENT_SIZE_BYTES];
        content.copy_from_slice(&digest::<HASH_SIZE_BYTES>(&hashed)[..CONTENT_SIZE_BYTES]);
        Ok((content, data))
    }
}
