//! The hot paths of intake and of the context stage over bytes, for what is plain; the rest is left to Python.
//!
//! Of each, `plan` says what has to be at hand, `step` does it. Both are pure: the same bytes in give the same bytes out,
//! which are those that Python gives. `messages` lays records out for the client of Kafka, `table` writes rows to a file
//! for a store that is filled. Only this file is unsafe: it takes bytes from Python and gives bytes back.

mod blake2b;
mod changes;
mod client;
mod dedupe;
mod document;
mod entry;
mod fold;
mod fragment;
mod household;
mod identity;
mod input;
mod intake;
mod interaction;
mod json;
mod member;
mod message;
mod msgpack;
mod newest;
mod output;
mod part;
mod piece;
mod plan;
mod record;
mod refusal;
mod settings;
mod sorted;
mod step;
mod table;
mod table_block;
mod table_filter;
mod tally;
mod time;
mod view;
mod xxh64;

use std::panic::{catch_unwind, set_hook};
use std::sync::Once;

use refusal::Read;

/// Of requests and answers: raised with each change of what they look like.
const VERSION: u32 = 2;
static TOLD: Once = Once::new();
const DONE: i32 = 0;
const REFUSED: i32 = 1;
const FAILED: i32 = 2;

/// Bytes that belong to this library until they are given back.
#[repr(C)]
pub struct Answer {
    bytes: *mut u8,
    size: usize,
    capacity: usize,
}

#[unsafe(no_mangle)]
pub extern "C" fn goldenthread_version() -> u32 {
    VERSION
}

/// See `plan::plan`.
///
/// # Safety
/// The pointers are to so many bytes that nobody changes meanwhile, and to an answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_plan(
    settings: *const u8,
    settings_size: usize,
    request: *const u8,
    request_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (settings, request) = unsafe { (borrowed(settings, settings_size), borrowed(request, request_size)) };
    unsafe { give(answer, || plan::plan(request, &settings::Settings::read(settings)?)) }
}

/// See `step::step`.
///
/// # Safety
/// As `goldenthread_plan`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_step(
    settings: *const u8,
    settings_size: usize,
    request: *const u8,
    request_size: usize,
    supply: *const u8,
    supply_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (settings, request) = unsafe { (borrowed(settings, settings_size), borrowed(request, request_size)) };
    let supply = unsafe { borrowed(supply, supply_size) };
    unsafe { give(answer, || step::step(request, supply, &settings::Settings::read(settings)?)) }
}

/// See `client::messages`. The messages point into the answers, which have to be there as long as they are in use.
///
/// # Safety
/// As `goldenthread_plan`; there are so many answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_messages(
    answers: *const Piece,
    count: usize,
    request: *const u8,
    request_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (answers, request) = unsafe { (taken(answers, count), borrowed(request, request_size)) };
    unsafe { give(answer, || client::messages(&answers, request)) }
}

/// Some bytes of Python's.
#[repr(C)]
pub struct Piece {
    bytes: *const u8,
    size: usize,
}

unsafe fn taken<'a>(pieces: *const Piece, count: usize) -> Vec<&'a [u8]> {
    (0..count)
        .map(|number| unsafe { pieces.add(number).read() })
        .map(|each| unsafe { borrowed(each.bytes, each.size) })
        .collect()
}

/// See `table::write`: 0, the system's number of what went wrong, or less than 0 where these are no rows.
///
/// # Safety
/// As `goldenthread_plan`, for the path and so many batches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_table(
    path: *const u8,
    path_size: usize,
    batches: *const Piece,
    count: usize,
) -> i32 {
    let (path, batches) = unsafe { (borrowed(path, path_size), taken(batches, count)) };
    match guarded(|| std::str::from_utf8(path).ok().map(|path| table::write(path.as_ref(), &batches))) {
        Ok(Some(Ok(()))) => DONE,
        Ok(Some(Err(error))) => error.raw_os_error().unwrap_or(-REFUSED),
        Ok(None) => -REFUSED,
        Err(_) => -FAILED,
    }
}

/// See `intake::slice::plan`.
///
/// # Safety
/// As `goldenthread_plan`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_intake_plan(
    settings: *const u8,
    settings_size: usize,
    request: *const u8,
    request_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (settings, request) = unsafe { (borrowed(settings, settings_size), borrowed(request, request_size)) };
    unsafe { give(answer, || intake::slice::plan(request, &intake::settings::Settings::read(settings)?)) }
}

/// See `intake::slice::step`.
///
/// # Safety
/// As `goldenthread_plan`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_intake_step(
    settings: *const u8,
    settings_size: usize,
    request: *const u8,
    request_size: usize,
    supply: *const u8,
    supply_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (settings, request) = unsafe { (borrowed(settings, settings_size), borrowed(request, request_size)) };
    let supply = unsafe { borrowed(supply, supply_size) };
    unsafe { give(answer, || intake::slice::step(request, supply, &intake::settings::Settings::read(settings)?)) }
}

/// Give an answer back, once.
///
/// # Safety
/// It is one that a call above gave with `DONE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_release(answer: *mut Answer) {
    let Answer { bytes, size, capacity } = unsafe { answer.read() };
    drop(unsafe { Vec::from_raw_parts(bytes, size, capacity) });
}

unsafe fn borrowed<'a>(bytes: *const u8, size: usize) -> &'a [u8] {
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(bytes, size) } }
}

/// Let the caller have what `make` makes.
unsafe fn give(answer: *mut Answer, make: impl FnOnce() -> Read<Vec<u8>> + std::panic::UnwindSafe) -> i32 {
    match guarded(make) {
        Ok(Ok(made)) => {
            let mut made = std::mem::ManuallyDrop::new(made);
            unsafe { answer.write(Answer { bytes: made.as_mut_ptr(), size: made.len(), capacity: made.capacity() }) };
            DONE
        }
        Ok(Err(_)) => REFUSED,
        Err(_) => FAILED,
    }
}

/// Do something. No panic goes further than here.
fn guarded<Made>(make: impl FnOnce() -> Made + std::panic::UnwindSafe) -> std::thread::Result<Made> {
    // Of a panic only its place is told: what it says may hold a piece of somebody's event.
    TOLD.call_once(|| {
        set_hook(Box::new(|panic| {
            if let Some(place) = panic.location() {
                eprintln!("the compiled library gave up at {place}; Python goes on");
            }
        }))
    });
    catch_unwind(make)
}
