//! Canonical JSON: compact, with sorted keys, as `schemas.strict_json.canonical_json` writes it.

use std::borrow::Cow;

use super::tree::{Tree, Value};
use crate::json::{write_comma, write_text};
use crate::refusal::{demand, Read};

/// Write a value. Refuses an object in which a key comes twice.
pub fn write_value(out: &mut Vec<u8>, tree: &Tree<'_>, node: usize) -> Read<()> {
    Writer { tree, keys: Vec::new() }.value(out, node)
}

/// Write an object, but for those members that `leaves_out` names.
pub fn write_object(
    out: &mut Vec<u8>,
    tree: &Tree<'_>,
    object: usize,
    leaves_out: impl Fn(&str) -> bool,
) -> Read<()> {
    Writer { tree, keys: Vec::new() }.object(out, object, leaves_out)
}

struct Writer<'t, 'a> {
    tree: &'t Tree<'a>,
    /// The members of the objects that are being written, the innermost's last.
    keys: Vec<(&'t str, usize)>,
}

impl Writer<'_, '_> {
    fn value(&mut self, out: &mut Vec<u8>, node: usize) -> Read<()> {
        match self.tree.value(node) {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Integer(digits) | Value::Decimal(digits) => out.extend_from_slice(digits.as_bytes()),
            Value::Text(Cow::Borrowed(text)) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Value::Text(Cow::Owned(text)) => write_text(out, text),
            Value::Array => {
                out.push(b'[');
                for element in self.tree.elements(node) {
                    write_comma(out);
                    self.value(out, element)?;
                }
                out.push(b']');
            }
            Value::Object => self.object(out, node, |_| false)?,
        }
        Ok(())
    }

    fn object(&mut self, out: &mut Vec<u8>, object: usize, leaves_out: impl Fn(&str) -> bool) -> Read<()> {
        let start = self.keys.len();
        self.keys.extend(self.tree.members(object).filter(|(key, _)| !leaves_out(key)));
        let end = self.keys.len();
        self.keys[start..].sort_unstable();
        out.push(b'{');
        for number in start..end {
            let (key, node) = self.keys[number];
            demand(number == start || self.keys[number - 1].0 != key)?;
            write_comma(out);
            // The node before a value is its key.
            self.value(out, node - 1)?;
            out.push(b':');
            self.value(out, node)?;
        }
        out.push(b'}');
        self.keys.truncate(start);
        Ok(())
    }
}
