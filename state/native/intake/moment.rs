//! Event times: RFC 3339 with an offset, as most producers write it.

use crate::refusal::{demand, Read, Refusal};
use crate::time::{written, MICROSECONDS_PER_DAY};

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const FRACTION_DIGITS_MAX: usize = 9;
const MICROSECOND_DIGITS: usize = 6;
const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// With microseconds, which are all that an event's time keeps.
const ZULU_LENGTH_MAX: usize = 27;
const ZERO_OFFSETS: [&str; 2] = ["+00:00", "-00:00"];

/// Microseconds since 1970; finer digits are cut.
pub fn parse_time(text: &str) -> Read<i64> {
    let bytes = text.as_bytes();
    demand(bytes.len() >= 20)?;
    for (place, sign) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        demand(bytes[place] == sign)?;
    }
    let day = day_of(number(&bytes[0..4])?, number(&bytes[5..7])?, number(&bytes[8..10])?)?;
    let (hour, minute, second) = (number(&bytes[11..13])?, number(&bytes[14..16])?, number(&bytes[17..19])?);
    demand(hour < 24 && minute < 60 && second < 60)?;
    let (micros, zone) = fraction(&bytes[19..])?;
    let within = (hour * 60 + minute) * 60 + second - offset_seconds(zone)?;
    written(day * MICROSECONDS_PER_DAY + within * MICROSECONDS_PER_SECOND + micros)
}

/// The text of a time where it says more than the moment: another offset, or finer digits.
pub fn original_of(text: &str) -> Option<&str> {
    if text.ends_with('Z') {
        return (text.len() > ZULU_LENGTH_MAX).then_some(text);
    }
    let is_zero = ZERO_OFFSETS.iter().any(|offset| text.ends_with(offset));
    (!text.is_empty() && !(is_zero && text.len() < ZULU_LENGTH_MAX + ZERO_OFFSETS[0].len())).then_some(text)
}

fn number(digits: &[u8]) -> Read<i64> {
    digits.iter().try_fold(0, |number, digit| {
        demand(digit.is_ascii_digit())?;
        Ok(number * 10 + i64::from(digit - b'0'))
    })
}

/// Days since 1970.
fn day_of(year: i64, month: i64, of_month: i64) -> Read<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    demand(year >= 1970 && (1..=12).contains(&month))?;
    let days = MONTH_DAYS[month as usize - 1] + i64::from(is_leap && month == 2);
    demand((1..=days).contains(&of_month))?;
    // Years are counted from March, so that the leap day is the last one.
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * from_march + 2) / 5 + of_month - 1;
    Ok(365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719_468)
}

/// Microseconds, and what comes after them.
fn fraction(rest: &[u8]) -> Read<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else { return Ok((0, rest)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    demand((1..=FRACTION_DIGITS_MAX).contains(&digits))?;
    let kept = digits.min(MICROSECOND_DIGITS);
    let scale = 10_i64.pow((MICROSECOND_DIGITS - kept) as u32);
    Ok((number(&rest[..kept])? * scale, &rest[digits..]))
}

fn offset_seconds(zone: &[u8]) -> Read<i64> {
    match zone {
        b"Z" => Ok(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] if hours.len() == 2 => {
            let (hours, minutes) = (number(hours)?, number(&[*tens, *ones])?);
            demand(hours < 24 && minutes < 60)?;
            let seconds = (hours * 60 + minutes) * 60;
            Ok(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(Refusal),
    }
}
