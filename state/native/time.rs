//! Times as RFC 3339 in UTC, and days, as `schemas.times` writes them.

use crate::refusal::{Read, Refusal};

pub const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
/// The last microsecond of the year 9999.
pub const TIME_MAX_US: i64 = 253_402_300_799_999_999;

/// A day as `2026-11-22`; days in this form sort by time.
pub type DayText = [u8; 10];

/// Refuses what can't be written: times before 1970 and after 9999.
pub fn written(time_us: i64) -> Read<i64> {
    if (0..=TIME_MAX_US).contains(&time_us) { Ok(time_us) } else { Err(Refusal) }
}

/// The day since 1970 as text; the day is one of a time that can be written.
pub fn day_text(day: i64) -> DayText {
    // Each time of a document has its day: numbers of 32 bits are divided in half the time.
    let day = day as u32;
    // Days are counted from the first of March of the year 0, so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    let mut text = *b"0000-00-00";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], of_month);
    text
}

fn digits(place: &mut [u8], number: u32) {
    let mut left = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

/// The time with as many digits of the second as are needed: none, three or six. It is one that can be written.
pub fn write_time(out: &mut Vec<u8>, time_us: i64) {
    let (day, within) = (time_us / MICROSECONDS_PER_DAY, time_us % MICROSECONDS_PER_DAY);
    let (second, micros) = ((within / 1_000_000) as u32, (within % 1_000_000) as u32);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    text[0..10].copy_from_slice(&day_text(day));
    digits(&mut text[11..13], second / 3_600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    let size = if micros == 0 {
        19
    } else if micros % 1_000 == 0 {
        digits(&mut text[20..23], micros / 1_000);
        23
    } else {
        digits(&mut text[20..26], micros);
        26
    };
    text[size] = b'Z';
    out.extend_from_slice(&text[..=size]);
}
