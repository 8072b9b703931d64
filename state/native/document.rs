//! Writes the context document, as `state.context.document` and `schemas.document` do.

use crate::fragment::{Count, RefRegister, Register, WITHDRAWN};
use crate::json::{write_comma, write_escaped, write_integer, write_quoted_time, write_text};
use crate::newest::{Contact, Fact, Said};
use crate::part::{grade_label, Part};
use crate::refusal::Read;
use crate::view::View;

/// The document as JSON; the names of the trusted traits are in order.
pub fn write_document(
    out: &mut Vec<u8>,
    customer: &str,
    version: i64,
    view: &View<'_>,
    trusted_traits: &[&str],
) -> Read<()> {
    out.extend_from_slice(b"{\"customer\":");
    write_text(out, customer);
    out.extend_from_slice(b",\"version\":");
    write_integer(out, version);
    out.extend_from_slice(if view.is_settling { b",\"settling\":true" } else { b",\"settling\":false" });
    out.extend_from_slice(b",\"realm\":");
    write_text(out, view.realm);
    out.extend_from_slice(b",\"identity\":{\"level\":");
    write_text(out, view.level);
    out.extend_from_slice(b",\"strongest\":");
    write_text(out, view.strongest);
    out.extend_from_slice(b"},\"identifiers\":[");
    for part in &view.identifiers {
        write_comma(out);
        write_identifier(out, part);
    }
    out.extend_from_slice(b"],\"traits\":{");
    for (name, fact) in &view.traits {
        if fact.said.register.value != WITHDRAWN {
            write_comma(out);
            write_text(out, name);
            out.push(b':');
            write_trait(out, fact, trusted_traits.binary_search(name).is_ok());
        }
    }
    out.extend_from_slice(b"},\"permissions\":{");
    for held in view.permissions.chunk_by(|one, other| one.0 == other.0) {
        write_comma(out);
        write_text(out, held[0].0);
        out.extend_from_slice(b":{");
        for (_, purpose, said) in held {
            write_comma(out);
            write_text(out, purpose);
            let is_allowed = said.register.value == b"true";
            out.extend_from_slice(if is_allowed { b":{\"value\":true" } else { b":{\"value\":false" });
            write_provenance(out, &said.register);
            write_via(out, said.via);
            out.push(b'}');
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"channels\":{");
    write_tallies(out, &view.channels);
    out.extend_from_slice(b"},\"types\":{");
    write_tallies(out, &view.types);
    out.extend_from_slice(b"},\"days\":{");
    for held in view.days.chunk_by(|one, other| one.0 == other.0) {
        write_comma(out);
        out.push(b'"');
        write_escaped(out, &held[0].0);
        out.extend_from_slice(b"\":{");
        for (_, channel, count) in held {
            write_comma(out);
            write_text(out, channel);
            out.push(b':');
            write_integer(out, *count);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"refs\":[");
    for (kind, id, said) in &view.refs {
        write_comma(out);
        write_ref(out, kind, id, said);
    }
    out.extend_from_slice(b"],\"groups\":{");
    for held in view.groups.chunk_by(|one, other| one.0 == other.0) {
        write_comma(out);
        write_text(out, held[0].0);
        out.push(b':');
        write_names(out, held.iter().map(|(_, value, _)| *value));
    }
    out.extend_from_slice(b"},\"last\":{\"in\":");
    write_contact(out, view.last_in.as_ref())?;
    out.extend_from_slice(b",\"out\":");
    write_contact(out, view.last_out.as_ref())?;
    out.extend_from_slice(b"},\"interactions\":{\"count\":");
    write_integer(out, view.total.count);
    write_span(out, &view.total);
    out.extend_from_slice(b",\"recent\":[");
    for line in &view.recent {
        write_comma(out);
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"]}");
    write_groups_via(out, view);
    out.push(b'}');
    Ok(())
}

/// A list of texts.
pub fn write_names<'x>(out: &mut Vec<u8>, names: impl Iterator<Item = &'x str>) {
    out.push(b'[');
    for name in names {
        write_comma(out);
        write_text(out, name);
    }
    out.push(b']');
}

/// The kinds of groups that only attached members tell, with the kind of the member.
fn write_groups_via(out: &mut Vec<u8>, view: &View<'_>) {
    let mut is_begun = false;
    for held in view.groups.chunk_by(|one, other| one.0 == other.0) {
        let Some(via) = held[0].2.via else { continue };
        out.extend_from_slice(if is_begun { b"," } else { b",\"groups_via\":{" });
        is_begun = true;
        write_text(out, held[0].0);
        out.push(b':');
        write_text(out, via);
    }
    if is_begun {
        out.push(b'}');
    }
}

fn write_identifier(out: &mut Vec<u8>, part: &Part<'_>) {
    let identity = &part.identity;
    let (first, last) = part.sight();
    out.extend_from_slice(b"{\"kind\":");
    write_text(out, identity.kind);
    out.extend_from_slice(b",\"value\":");
    write_text(out, identity.value);
    out.extend_from_slice(b",\"grade\":");
    write_text(out, grade_label(part.grade));
    out.extend_from_slice(b",\"role\":");
    write_text(out, part.role);
    for (name, time) in [(&b",\"first\":"[..], first), (b",\"last\":", last)] {
        out.extend_from_slice(name);
        match time {
            None => out.extend_from_slice(b"null"),
            Some(time) => write_quoted_time(out, time),
        }
    }
    out.extend_from_slice(b",\"status\":\"current\"");
    if let Some(namespace) = identity.named_namespace() {
        out.extend_from_slice(b",\"namespace\":");
        write_text(out, namespace);
    }
    out.push(b'}');
}

fn write_trait(out: &mut Vec<u8>, fact: &Fact<'_>, is_trusted: bool) {
    write_fact(out, &fact.said);
    if let Some(claim) = &fact.claim {
        out.extend_from_slice(b",\"newer_claim\":");
        write_fact(out, claim);
        write_grade(out, &claim.register, is_trusted);
        out.push(b'}');
    }
    write_grade(out, &fact.said.register, is_trusted);
    out.push(b'}');
}

fn write_via(out: &mut Vec<u8>, via: Option<&str>) {
    if let Some(via) = via {
        out.extend_from_slice(b",\"via\":");
        write_text(out, via);
    }
}

fn write_fact(out: &mut Vec<u8>, said: &Said<'_, Register<'_>>) {
    out.extend_from_slice(b"{\"value\":");
    out.extend_from_slice(said.register.value);
    write_provenance(out, &said.register);
    write_via(out, said.via);
}

fn write_grade(out: &mut Vec<u8>, register: &Register<'_>, is_trusted: bool) {
    if is_trusted {
        out.extend_from_slice(b",\"grade\":");
        write_text(out, grade_label(register.grade));
    }
}

fn write_provenance(out: &mut Vec<u8>, register: &Register<'_>) {
    out.extend_from_slice(b",\"time\":");
    write_quoted_time(out, register.time);
    out.extend_from_slice(b",\"source\":");
    write_text(out, register.source);
    out.extend_from_slice(b",\"event\":");
    write_text(out, register.event);
}

fn write_tallies(out: &mut Vec<u8>, counts: &[(&str, Count)]) {
    for (name, count) in counts {
        write_comma(out);
        write_text(out, name);
        out.extend_from_slice(b":{\"interactions\":");
        write_integer(out, count.count);
        write_span(out, count);
        out.push(b'}');
    }
}

fn write_span(out: &mut Vec<u8>, count: &Count) {
    out.extend_from_slice(b",\"first\":");
    write_quoted_time(out, count.first);
    out.extend_from_slice(b",\"last\":");
    write_quoted_time(out, count.last);
}

fn write_ref(out: &mut Vec<u8>, kind: &str, id: &str, said: &Said<'_, RefRegister<'_>>) {
    let register = &said.register;
    out.extend_from_slice(b"{\"kind\":");
    write_text(out, kind);
    out.extend_from_slice(b",\"id\":");
    write_text(out, id);
    out.extend_from_slice(b",\"type\":");
    write_text(out, register.kind_of_event);
    out.extend_from_slice(b",\"time\":");
    write_quoted_time(out, register.time);
    if !register.status.is_empty() {
        out.extend_from_slice(b",\"status\":");
        write_text(out, register.status);
    }
    write_via(out, said.via);
    out.push(b'}');
}

fn write_contact(out: &mut Vec<u8>, contact: Option<&Contact<'_>>) -> Read<()> {
    let Some(Contact { touch, via }) = contact else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    // Both are copied as they were written, in quotes.
    let (channel, summary) = touch.line()?;
    out.extend_from_slice(b"{\"time\":");
    write_quoted_time(out, touch.time);
    out.extend_from_slice(b",\"channel\":\"");
    out.extend_from_slice(channel);
    out.extend_from_slice(b"\",\"summary\":\"");
    out.extend_from_slice(summary);
    out.push(b'"');
    write_via(out, *via);
    out.push(b'}');
    Ok(())
}
