//! The hot paths of intake and of the context stage over bytes, for what is plain; the rest is left to Python.
//!
//! Of the context stage, `plan` says what has to be at hand, `step` does it; intake's call asks for what it was not told
//! yet. The same bytes in give the same bytes out, which are those that Python gives. `messages` lays records out for the client of Kafka, `table` writes rows to a file
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
use std::sync::{Mutex, Once};

use refusal::{Read, Refusal};

/// Of requests and answers: raised with each change of what they look like.
const VERSION: u32 = 3;
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

/// What an intake keeps from one call to the next: see `intake::kept`.
pub type Kept = Mutex<intake::kept::Kept>;

#[unsafe(no_mangle)]
pub extern "C" fn goldenthread_intake_begin(size_bytes_max: usize) -> *mut Kept {
    Box::into_raw(Box::new(Mutex::new(intake::kept::Kept::new(size_bytes_max))))
}

/// # Safety
/// It is what `goldenthread_intake_begin` gave, and no call uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_intake_end(kept: *mut Kept) {
    drop(unsafe { Box::from_raw(kept) });
}

/// See `intake::slice::take`.
///
/// # Safety
/// As `goldenthread_plan`; what is kept is what `goldenthread_intake_begin` gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn goldenthread_intake(
    kept: *const Kept,
    settings: *const u8,
    settings_size: usize,
    request: *const u8,
    request_size: usize,
    told: *const u8,
    told_size: usize,
    answer: *mut Answer,
) -> i32 {
    let (settings, request) = unsafe { (borrowed(settings, settings_size), borrowed(request, request_size)) };
    let (told, kept) = unsafe { (borrowed(told, told_size), &*kept) };
    let make = || {
        let settings = intake::settings::Settings::read(settings)?;
        // After a panic nothing that was kept is trusted any more.
        let mut kept = kept.lock().map_err(|_| Refusal)?;
        intake::slice::take(request, told, &settings, &mut kept)
    };
    unsafe { give(answer, make) }
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
