//! Intake's way of the usual record, a slice of them at a time: `plan` says what has to be known of them, `step` makes
//! their messages of it. A record that is not plainly good is refused, and Python makes of it what has to be made.
//!
//! Read `tree` and `canonical` (JSON in and out), `event` (what its envelope says), `subject`, `finding` and `said`
//! (whose it is, what was found out, what it says), `message`, `slice` (what Python packs and gets).

mod canonical;
mod event;
mod finding;
mod message;
mod moment;
mod said;
pub mod settings;
pub mod slice;
mod subject;
mod tree;
