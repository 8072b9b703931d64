//! Whose event it is: the identifiers that it names, as they are asked for and as Python answers, and what routes it.

use super::event::{is_kind_name, Event};
use super::settings::Settings;
use super::tree::{Tree, Value};
use crate::input::Input;
use crate::msgpack::{write_array, write_integer, write_text, Reader};
use crate::refusal::{demand, Read, Refusal};

/// What an identifier may do.
const ROUTES: u8 = 1;
const LINKS: u8 = 2;
const GRADES: [u8; 4] = *b"0123";
const GRADE_ORDER: u8 = 9;
const EVIDENCE_FIELDS: usize = 7;
const SEALED_FIELDS: usize = 3;

/// Each kind and value that the event names, in the order in which they stand.
pub fn identifiers<'t>(
    tree: &'t Tree<'_>,
    event: &Event<'_, '_>,
    settings: &Settings<'_>,
    mut take: impl FnMut(&'t str, &'t str) -> Read<()>,
) -> Read<()> {
    let bounds = &settings.bounds;
    let mut count = 0;
    let mut one = |kind: &'t str, node: usize| {
        let text = tree.text_or_integer(node)?;
        // In bytes, which are no fewer than the characters of which there may be so many.
        demand(text.len() <= bounds.identifier)?;
        take(kind, text)
    };
    for (kind, node) in tree.members(event.members.identifiers.ok_or(Refusal)?) {
        if tree.is_null(node) {
            continue;
        }
        demand(is_kind_name(kind) && !settings.concealed.contains(&kind))?;
        match tree.value(node) {
            Value::Array => {
                for element in tree.elements(node) {
                    count += 1;
                    if !tree.is_null(element) {
                        one(kind, element)?;
                    }
                }
            }
            _ => {
                count += 1;
                one(kind, node)?;
            }
        }
        demand(count <= bounds.identifiers)?;
    }
    Ok(())
}

/// An identifier ready to travel.
struct Known<'a> {
    /// What they are sorted by.
    order: &'a [u8],
    flags: u8,
    fragment: &'a str,
    /// Fragment, kind and sealed identifier, encoded.
    encoded: &'a [u8],
}

/// The usable ones in the order of routing, and the groups that are named among them.
pub struct Subject<'a, 't> {
    known: Vec<Known<'a>>,
    pub groups: Vec<(&'t str, &'a str)>,
}

impl<'a, 't> Subject<'a, 't> {
    pub fn read(
        tree: &'t Tree<'_>,
        event: &Event<'_, '_>,
        settings: &Settings<'_>,
        mut supply: impl FnMut() -> Read<&'a [u8]>,
    ) -> Read<Self> {
        let (mut known, mut groups) = (Vec::new(), Vec::new());
        identifiers(tree, event, settings, |kind, _| {
            // Nothing at all is said of one that makes the event a dead letter.
            let (form, rest) = supply()?.split_first().ok_or(Refusal)?;
            match form {
                b'-' => {}
                b'g' => groups.push((kind, std::str::from_utf8(rest).map_err(|_| Refusal)?)),
                b'k' => known.push(Known::read(rest)?),
                _ => return Err(Refusal),
            }
            Ok(())
        })?;
        known.sort_by(|one, other| one.order.cmp(other.order));
        Ok(Subject { known, groups })
    }

    /// The fragment that the event is for, and the first fields of its message: fragment, kind and sealed identifier.
    pub fn target(&self) -> Read<(&'a str, &'a [u8])> {
        let routing = self.known.iter().find(|known| known.flags & ROUTES != 0).ok_or(Refusal)?;
        Ok((routing.fragment, routing.encoded))
    }

    /// Those that are evidence of who is who, each once; none where there is no pair.
    fn evidence(&self, event: &Event<'_, '_>) -> Vec<&Known<'a>> {
        let mut evidence: Vec<&Known<'_>> = Vec::new();
        if !event.members.links_nobody && self.known.len() > 1 {
            for known in self.known.iter().filter(|known| known.flags & LINKS != 0) {
                if evidence.iter().all(|other| other.fragment != known.fragment) {
                    evidence.push(known);
                }
            }
        }
        if evidence.len() < 2 {
            evidence.clear();
        }
        evidence
    }

    /// Write what the event says to identity: the name by which it is known what was said of these identifiers, the key
    /// of the pair, the event's id, and the message.
    ///
    /// Of more identifiers than two there is no key, and the message is without its pairs. Where each of these begins;
    /// nothing is written where there is no evidence.
    pub fn write_evidence(&self, out: &mut Vec<u8>, event: &Event<'_, '_>) -> Read<Option<[usize; 4]>> {
        let evidence = self.evidence(event);
        if evidence.is_empty() {
            return Ok(None);
        }
        let grade = *GRADES.get(usize::try_from(event.grade).map_err(|_| Refusal)?).ok_or(Refusal)?;
        let name = out.len();
        for known in &evidence {
            out.extend_from_slice(known.fragment.as_bytes());
        }
        out.push(grade);
        out.extend_from_slice(event.source.as_bytes());
        let pair = out.len();
        if let [one, other] = evidence[..] {
            let (first, second) = (one.fragment.min(other.fragment), one.fragment.max(other.fragment));
            // The best grade sorts first.
            let order = [b'0' + GRADE_ORDER - (grade - b'0')];
            for part in [b"e/", first.as_bytes(), b"/", &order, b"/", second.as_bytes(), b"/", event.source.as_bytes()] {
                out.extend_from_slice(part);
            }
        }
        let id = out.len();
        out.extend_from_slice(event.id.as_bytes());
        let message = out.len();
        write_array(out, EVIDENCE_FIELDS);
        write_text(out, "evidence");
        write_text(out, event.source);
        write_text(out, event.id);
        write_integer(out, event.time);
        write_integer(out, event.grade);
        write_array(out, evidence.len());
        for known in &evidence {
            write_array(out, SEALED_FIELDS);
            out.extend_from_slice(known.encoded);
        }
        if evidence.len() == 2 {
            write_array(out, 1);
            write_array(out, 2);
            write_integer(out, 0);
            write_integer(out, 1);
        } else {
            write_array(out, 0);
        }
        Ok(Some([name, pair, id, message]))
    }
}

impl<'a> Known<'a> {
    fn read(answer: &'a [u8]) -> Read<Self> {
        let mut input = Input::new(answer);
        let flags = input.take(1)?[0];
        let order_size = input.size()?;
        let order = input.take(order_size)?;
        let encoded = input.rest();
        let fragment = Reader::new(encoded).text()?;
        Ok(Known { order, flags, fragment, encoded })
    }
}
