//! JSON as msgspec writes it: no white space, text in UTF-8, escaped where it has to be.

use std::borrow::Cow;

use crate::refusal::{demand, Read, Refusal};
use crate::time::write_time;

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// What a byte of a text is written as: 0 itself, 1 by its number, else a backslash and this letter.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = 1;
        byte += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// A text, in quotes.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text.as_bytes());
    out.push(b'"');
}

pub fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut start = 0;
    for (place, byte) in text.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape != 0 {
            out.extend_from_slice(&text[start..place]);
            start = place + 1;
            if escape == 1 {
                out.extend_from_slice(b"\\u00");
                out.push(HEXADECIMAL[usize::from(byte >> 4)]);
                out.push(HEXADECIMAL[usize::from(byte & 0x0f)]);
            } else {
                out.extend_from_slice(&[b'\\', escape]);
            }
        }
    }
    out.extend_from_slice(&text[start..]);
}

/// A comma unless the list or the object has just begun.
pub fn write_comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
}

pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut text = [0; 20];
    let mut start = text.len();
    let mut left = value.unsigned_abs();
    loop {
        start -= 1;
        text[start] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&text[start..]);
}

/// A time, in quotes.
pub fn write_quoted_time(out: &mut Vec<u8>, time_us: i64) {
    out.push(b'"');
    write_time(out, time_us);
    out.push(b'"');
}

/// What stands after the opening quote of a text up to the closing one, and what follows that.
pub fn split_text(rest: &[u8]) -> Read<(&[u8], &[u8])> {
    let mut place = 0;
    while place < rest.len() {
        match rest[place] {
            b'"' => return Ok((&rest[..place], &rest[place + 1..])),
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    Err(Refusal)
}

/// The text that was escaped as `write_escaped` does.
pub fn unescaped(text: &[u8]) -> Read<Cow<'_, [u8]>> {
    if !text.contains(&b'\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            plain.push(*first);
            continue;
        }
        let (letter, after) = rest.split_first().ok_or(Refusal)?;
        rest = after;
        if *letter == b'u' {
            demand(rest.len() >= 4 && &rest[..2] == b"00")?;
            let byte = hexadecimal(rest[2])? << 4 | hexadecimal(rest[3])?;
            demand(ESCAPES[usize::from(byte)] == 1)?;
            plain.push(byte);
            rest = &rest[4..];
        } else {
            let byte = ESCAPES.iter().position(|escape| escape == letter && *escape > 1).ok_or(Refusal)?;
            plain.push(byte as u8);
        }
    }
    Ok(Cow::Owned(plain))
}

fn hexadecimal(digit: u8) -> Read<u8> {
    HEXADECIMAL.iter().position(|each| *each == digit).map(|place| place as u8).ok_or(Refusal)
}
