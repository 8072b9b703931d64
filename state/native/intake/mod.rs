//! Intake's way of the usual record, a slice of them at a time: `slice::take` makes their messages, or asks first for what
//! has to be known of them. A record that is not plainly good is refused, and Python makes of it what has to be made.
//!
//! Read `tree` and `canonical` (JSON in and out), `event` (what its envelope says), `subject`, `finding` and `said`
//! (whose it is, what was found out, what it says), `message`, `kept`, `slice` (what Python packs and gets).

mod canonical;
mod event;
mod finding;
pub mod kept;
mod message;
mod moment;
mod said;
pub mod settings;
pub mod slice;
mod subject;
mod tree;
