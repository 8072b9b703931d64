//! Compares what two states of a context say: `state.context.changes`.

use std::borrow::Cow;

use crate::document::write_names;
use crate::fragment::WITHDRAWN;
use crate::json::{write_comma, write_integer, write_text};
use crate::part::grade_label;
use crate::view::View;

/// What one field says as JSON, None where it is withdrawn, and the event that said so.
struct Statement<'x> {
    names: Vec<&'x str>,
    value: Option<Cow<'x, [u8]>>,
    provenance: Option<(&'x str, &'x str)>,
}

/// A field whose value differs: what it said and says, and the event that said so.
pub struct Change<'x> {
    pointer: String,
    old: Option<Cow<'x, [u8]>>,
    new: Option<Cow<'x, [u8]>>,
    provenance: Option<(&'x str, &'x str)>,
}

/// Writes changes as a record of `context.changes`.
pub fn write_changes(out: &mut Vec<u8>, customer: &str, version: i64, changes: &[Change<'_>]) {
    out.extend_from_slice(b"{\"customer\":");
    write_text(out, customer);
    out.extend_from_slice(b",\"version\":");
    write_integer(out, version);
    out.extend_from_slice(b",\"changes\":[");
    for change in changes {
        write_comma(out);
        out.extend_from_slice(b"{\"field\":");
        write_text(out, &change.pointer);
        if let Some(old) = &change.old {
            out.extend_from_slice(b",\"old\":");
            out.extend_from_slice(old);
        }
        if let Some(new) = &change.new {
            out.extend_from_slice(b",\"new\":");
            out.extend_from_slice(new);
        }
        if let Some((source, event)) = change.provenance {
            out.extend_from_slice(b",\"source\":");
            write_text(out, source);
            out.extend_from_slice(b",\"event\":");
            write_text(out, event);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// The fields whose value differs, in the order of their pointers; without a before, all there are.
pub fn compare<'x>(before: Option<&'x View<'_>>, after: &'x View<'_>) -> Vec<Change<'x>> {
    let mut was = before.map(statements).unwrap_or_default().into_iter().peekable();
    let mut changes = Vec::new();
    for now in statements(after) {
        // Both are in the order of their names.
        while let Some(gone) = was.next_if(|was| was.names < now.names) {
            changes.extend(withdrawn(gone));
        }
        let old = was.next_if(|was| was.names == now.names).and_then(|was| was.value);
        if old != now.value {
            changes.push(Change { pointer: pointer(&now.names), old, new: now.value, provenance: now.provenance });
        }
    }
    changes.extend(was.filter_map(withdrawn));
    changes.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    changes
}

fn withdrawn(was: Statement<'_>) -> Option<Change<'_>> {
    let old = Some(was.value?);
    Some(Change { pointer: pointer(&was.names), old, new: None, provenance: None })
}

/// All fields, in the order of their names.
fn statements<'x>(view: &'x View<'_>) -> Vec<Statement<'x>> {
    let mut statements = vec![Statement {
        names: vec!["identity", "level"],
        value: Some(Cow::Owned(quoted(view.level))),
        provenance: None,
    }];
    for part in &view.identifiers {
        let identity = &part.identity;
        let mut value = b"{\"grade\":".to_vec();
        write_text(&mut value, grade_label(part.grade));
        value.extend_from_slice(b",\"role\":");
        write_text(&mut value, part.role);
        value.push(b'}');
        let names = match identity.named_namespace() {
            None => vec!["identifiers", identity.kind, identity.value],
            Some(namespace) => vec!["identifiers", identity.kind, namespace, identity.value],
        };
        statements.push(Statement { names, value: Some(Cow::Owned(value)), provenance: None });
    }
    for (name, fact) in &view.traits {
        let register = &fact.said.register;
        let value = (register.value != WITHDRAWN).then_some(Cow::Borrowed(register.value));
        statements.push(Statement {
            names: vec!["traits", name],
            value,
            provenance: Some((register.source, register.event)),
        });
    }
    for (channel, purpose, said) in &view.permissions {
        let register = &said.register;
        statements.push(Statement {
            names: vec!["permissions", channel, purpose],
            value: Some(Cow::Borrowed(register.value)),
            provenance: Some((register.source, register.event)),
        });
    }
    for (kind, id, said) in &view.refs {
        let register = &said.register;
        let mut value = b"{".to_vec();
        if !register.status.is_empty() {
            value.extend_from_slice(b"\"status\":");
            write_text(&mut value, register.status);
        }
        write_comma(&mut value);
        value.extend_from_slice(b"\"type\":");
        write_text(&mut value, register.kind_of_event);
        value.push(b'}');
        statements.push(Statement {
            names: vec!["refs", kind, id],
            value: Some(Cow::Owned(value)),
            provenance: Some((register.source, register.event)),
        });
    }
    for held in view.groups.chunk_by(|one, other| one.0 == other.0) {
        let mut value = Vec::new();
        write_names(&mut value, held.iter().map(|(_, value, _)| *value));
        let newest = held.iter().map(|(_, _, said)| said.register).max();
        statements.push(Statement {
            names: vec!["groups", held[0].0],
            value: Some(Cow::Owned(value)),
            provenance: newest.map(|(_, source, event)| (source, event)),
        });
    }
    statements.sort_by(|one, other| one.names.cmp(&other.names));
    // Of an identifier that is told twice, the last word holds.
    statements.dedup_by(|later, kept| {
        let is_same = later.names == kept.names;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    statements
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(&mut out, text);
    out
}

/// A JSON pointer.
fn pointer(names: &[&str]) -> String {
    let mut pointer = String::new();
    for name in names {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}
