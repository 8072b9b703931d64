//! An event as its producer sent it: the attributes of its envelope, and the members of its data that have a meaning.

use super::moment::parse_time;
use super::settings::{Bounds, Settings, Source};
use super::tree::{Tree, Value, ROOT};
use crate::refusal::{demand, Read, Refusal};

const SPEC_VERSION: &str = "1.0";
const KIND_NAME_LENGTH_MAX: usize = 32;
const MICROSECONDS_PER_MILLISECOND: i64 = 1_000;

/// Where the record lies, and when the broker took it.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    pub channel: &'a str,
    pub partition: i64,
    pub offset: i64,
    pub timestamp_ms: i64,
}

impl Arrival<'_> {
    pub fn received_us(&self) -> Read<i64> {
        demand(self.timestamp_ms >= 0)?;
        self.timestamp_ms.checked_mul(MICROSECONDS_PER_MILLISECOND).ok_or(Refusal)
    }
}

pub struct Event<'t, 's> {
    pub id: &'t str,
    pub source: &'t str,
    pub kind: &'t str,
    pub time: i64,
    /// As its producer wrote it; empty where the time is not the producer's.
    pub time_text: &'t str,
    pub is_assigned: bool,
    /// Other attributes.
    pub extensions: Vec<(&'t str, &'t str)>,
    pub registered: &'s Source<'s>,
    pub grade: i64,
    pub data: usize,
    pub members: Members<'t>,
}

/// Members of data, those that are null being absent. Nodes of a tree, where they are looked at later.
#[derive(Default)]
pub struct Members<'t> {
    pub identifiers: Option<usize>,
    pub traits: Option<usize>,
    pub summary: &'t str,
    pub direction: &'t str,
    pub session: &'t str,
    pub refs: Option<usize>,
    pub permissions: Option<usize>,
    pub groups: Option<usize>,
    pub links_nobody: bool,
}

#[derive(Default)]
struct Attributes {
    version: Option<usize>,
    id: Option<usize>,
    source: Option<usize>,
    kind: Option<usize>,
    time: Option<usize>,
    channel: Option<usize>,
    assigned: Option<usize>,
    content_type: Option<usize>,
    data: Option<usize>,
}

impl<'t, 's> Event<'t, 's> {
    /// The event in a structured-mode record, whose source, channel and time are as they have to be.
    pub fn read(tree: &'t Tree<'_>, arrival: Arrival<'_>, settings: &'s Settings<'s>) -> Read<Self> {
        let bounds = &settings.bounds;
        demand(tree.is_object(ROOT))?;
        let mut given = Attributes::default();
        let mut extensions = Vec::new();
        for (name, node) in tree.members(ROOT) {
            let attribute = match name {
                "specversion" => &mut given.version,
                "id" => &mut given.id,
                "source" => &mut given.source,
                "type" => &mut given.kind,
                "time" => &mut given.time,
                "channel" => &mut given.channel,
                "timeassigned" => &mut given.assigned,
                "datacontenttype" => &mut given.content_type,
                "data" => &mut given.data,
                // These take the place of something else.
                "data_base64" | "rawdigest" => return Err(Refusal),
                _ => {
                    extensions.push((name, tree.text(node)?));
                    continue;
                }
            };
            demand(attribute.replace(node).is_none())?;
        }
        let text = |attribute: Option<usize>, length_max| bounded(tree.text(attribute.ok_or(Refusal)?)?, length_max);
        demand(tree.text(given.version.ok_or(Refusal)?)? == SPEC_VERSION)?;
        let (id, source) = (text(given.id, bounds.id)?, text(given.source, bounds.source)?);
        demand(id.len() <= bounds.name_size_bytes && source.len() <= bounds.name_size_bytes)?;
        let kind = text(given.kind, bounds.kind)?;
        let time_text = text(given.time, bounds.time)?;
        let time = parse_time(time_text)?;
        demand(time <= arrival.received_us()?.checked_add(settings.future_tolerance_us).ok_or(Refusal)?)?;
        let registered = settings.source(source);
        let named = given.channel.filter(|node| !tree.is_null(*node));
        let channel = match named {
            Some(_) => text(named, bounds.kind)?,
            None if registered.channel.is_empty() => arrival.channel,
            None => registered.channel,
        };
        demand(channel == arrival.channel && !settings.orders.contains(&kind))?;
        let is_assigned = match given.assigned.map(|node| tree.value(node)) {
            None | Some(Value::Boolean(false)) => false,
            Some(Value::Boolean(true)) => true,
            Some(_) => return Err(Refusal),
        };
        let data = given.data.ok_or(Refusal)?;
        Ok(Event {
            id,
            source,
            kind,
            time,
            time_text: if is_assigned { "" } else { time_text },
            is_assigned,
            extensions,
            registered,
            grade: registered.grade_of(kind),
            data,
            members: Members::read(tree, data, bounds)?,
        })
    }
}

impl<'t> Members<'t> {
    fn read(tree: &'t Tree<'_>, data: usize, bounds: &Bounds) -> Read<Self> {
        demand(tree.is_object(data))?;
        let mut members = Members::default();
        for (name, node) in tree.members(data) {
            if tree.is_null(node) {
                continue;
            }
            match name {
                "identifiers" => members.identifiers = Some(object(tree, node)?),
                "traits" => members.traits = Some(object(tree, node)?).filter(|_| tree.members(node).next().is_some()),
                "permissions" => members.permissions = Some(object(tree, node)?),
                "groups" => members.groups = Some(object(tree, node)?),
                "refs" => members.refs = Some(node),
                "summary" => members.summary = tree.text(node)?,
                "direction" => {
                    members.direction = tree.text(node)?;
                    demand(matches!(members.direction, "in" | "out" | ""))?;
                }
                "session" => {
                    members.session = tree.text_or_integer(node)?;
                    demand(is_within(members.session, bounds.session))?;
                }
                "link" => match tree.value(node) {
                    Value::Boolean(links) => members.links_nobody = !links,
                    _ => return Err(Refusal),
                },
                _ => {}
            }
        }
        Ok(members)
    }
}

fn object(tree: &Tree<'_>, node: usize) -> Read<usize> {
    demand(tree.is_object(node))?;
    Ok(node)
}

/// Whether a text has at most so many characters.
pub fn is_within(text: &str, length_max: usize) -> bool {
    text.len() <= length_max || text.chars().count() <= length_max
}

/// So many characters at a text's start.
pub fn start_of(text: &str, length: usize) -> &str {
    if text.len() <= length {
        return text;
    }
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// Whether it is white space to Python, to which four control characters are some as well.
pub fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\x1c'..='\x1f')
}

/// A text of 1 to so many characters.
pub fn bounded(text: &str, length_max: usize) -> Read<&str> {
    demand(!text.is_empty() && is_within(text, length_max))?;
    Ok(text)
}

/// Whether a kind can be called so: a lower-case letter, then letters, digits, `_`, `.` or `-`.
pub fn is_kind_name(name: &str) -> bool {
    name.len() <= KIND_NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-'))
}
