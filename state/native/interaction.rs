//! An event as its customer's interaction: `state.context.letters.interaction`.

use crate::json::{write_quoted_time, write_text};
use crate::message::Event;
use crate::part::grade_label;

/// The JSON of a `schemas.document.Interaction`.
pub fn write_interaction(out: &mut Vec<u8>, event: &Event<'_>, customer: &str, fragment: &str) {
    out.extend_from_slice(b"{\"id\":");
    write_text(out, event.id);
    out.extend_from_slice(b",\"source\":");
    write_text(out, event.source);
    out.extend_from_slice(b",\"type\":");
    write_text(out, event.kind_of_event);
    out.extend_from_slice(b",\"time\":");
    write_quoted_time(out, event.time);
    out.extend_from_slice(b",\"channel\":");
    write_text(out, event.channel);
    out.extend_from_slice(b",\"customer\":");
    write_text(out, customer);
    out.extend_from_slice(b",\"fragment\":");
    write_text(out, fragment);
    out.extend_from_slice(b",\"kind\":");
    write_text(out, event.kind);
    out.extend_from_slice(b",\"grade\":");
    write_text(out, grade_label(event.grade));
    for (name, value) in
        [(",\"summary\":", event.summary), (",\"direction\":", event.direction), (",\"session\":", event.session)]
    {
        if !value.is_empty() {
            out.extend_from_slice(name.as_bytes());
            write_text(out, value);
        }
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(event.data);
    if event.received > 0 {
        out.extend_from_slice(b",\"received\":");
        write_quoted_time(out, event.received);
    }
    if !event.enriched.is_empty() {
        out.extend_from_slice(b",\"enriched\":");
        out.extend_from_slice(event.enriched);
    }
    out.push(b'}');
}
