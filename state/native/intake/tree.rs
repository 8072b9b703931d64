//! JSON as a raw record has it, read into a flat list of nodes. Strict, and less than all of JSON: what could be read in
//! two ways (a number's odd forms, a key that comes twice) is refused, here or where it is written again.

use std::borrow::Cow;

use crate::refusal::{demand, Read, Refusal};

/// Whole numbers of so many digits are read alike by everybody.
const INTEGER_DIGITS_MAX: usize = 18;
/// A number of so many digits is the shortest that stands for its value.
const DECIMAL_DIGITS_MAX: usize = 15;
/// Numbers less than 0.001 are written with an exponent somewhere below it.
const LEADING_ZEROS_MAX: usize = 2;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

pub enum Value<'a> {
    Null,
    Boolean(bool),
    /// As it is written.
    Integer(&'a str),
    /// As the shortest form of the same number is written.
    Decimal(&'a str),
    /// Borrowed where it has no escapes, and then it is written as it came.
    Text(Cow<'a, str>),
    Array,
    /// Keys, each before its value.
    Object,
}

pub struct Node<'a> {
    pub value: Value<'a>,
    /// Where the nodes after it and after all in it begin.
    end: usize,
}

/// The nodes of one JSON text, a container before what is in it.
#[derive(Default)]
pub struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

/// The root of every tree.
pub const ROOT: usize = 0;

impl<'a> Tree<'a> {
    /// Read a text in place of what was read before.
    pub fn read(&mut self, body: &'a [u8], depth_max: usize) -> Read<()> {
        self.nodes.clear();
        let text = std::str::from_utf8(body).map_err(|_| Refusal)?;
        let mut parser = Parser { text, place: 0, depth_max, nodes: &mut self.nodes };
        parser.value(1)?;
        parser.space();
        demand(parser.place == body.len())
    }

    pub fn value(&self, node: usize) -> &Value<'a> {
        &self.nodes[node].value
    }

    /// The elements of an array, or the keys of an object; a key's value is the node after it.
    fn inner(&self, node: usize, step: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.nodes[node].end;
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let given = (next < end).then_some(next)?;
            next = self.nodes[given + step].end;
            Some(given)
        })
    }

    pub fn elements(&self, array: usize) -> impl Iterator<Item = usize> + '_ {
        self.inner(array, 0)
    }

    /// Each key of an object with its place, and the place of its value.
    pub fn members(&self, object: usize) -> impl Iterator<Item = (&str, usize)> + '_ {
        self.inner(object, 1).map(|key| match self.value(key) {
            Value::Text(text) => (&text[..], key + 1),
            _ => ("", key + 1),
        })
    }

    pub fn is_null(&self, node: usize) -> bool {
        matches!(self.value(node), Value::Null)
    }

    pub fn is_object(&self, node: usize) -> bool {
        matches!(self.value(node), Value::Object)
    }

    pub fn text(&self, node: usize) -> Read<&str> {
        match self.value(node) {
            Value::Text(text) => Ok(text),
            _ => Err(Refusal),
        }
    }

    /// A text, or a whole number in digits.
    pub fn text_or_integer(&self, node: usize) -> Read<&str> {
        match self.value(node) {
            Value::Text(text) => Ok(text),
            Value::Integer(digits) => Ok(digits),
            _ => Err(Refusal),
        }
    }
}

struct Parser<'a, 't> {
    text: &'a str,
    place: usize,
    depth_max: usize,
    nodes: &'t mut Vec<Node<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Read<u8> {
        self.text.as_bytes().get(self.place).copied().ok_or(Refusal)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.place) {
            self.place += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        demand(self.peek()? == byte)?;
        self.place += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Read<()> {
        demand(self.text.as_bytes()[self.place..].starts_with(word.as_bytes()))?;
        self.place += word.len();
        self.push(value);
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        let end = self.nodes.len() + 1;
        self.nodes.push(Node { value, end });
    }

    fn value(&mut self, depth: usize) -> Read<()> {
        self.space();
        match self.peek()? {
            b'"' => self.quoted(),
            b'{' => self.container(depth, b'}', Value::Object),
            b'[' => self.container(depth, b']', Value::Array),
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            _ => self.number(),
        }
    }

    fn container(&mut self, depth: usize, close: u8, value: Value<'a>) -> Read<()> {
        demand(depth <= self.depth_max)?;
        let has_keys = matches!(value, Value::Object);
        let own = self.nodes.len();
        self.push(value);
        self.place += 1;
        self.space();
        if self.peek()? == close {
            self.place += 1;
            return Ok(());
        }
        loop {
            if has_keys {
                self.space();
                demand(self.peek()? == b'"')?;
                self.quoted()?;
                self.space();
                self.expect(b':')?;
            }
            self.value(depth + 1)?;
            self.space();
            if self.peek()? == close {
                self.place += 1;
                self.nodes[own].end = self.nodes.len();
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn quoted(&mut self) -> Read<()> {
        let bytes = self.text.as_bytes();
        let start = self.place + 1;
        let place = plain_end(bytes, start);
        match *bytes.get(place).ok_or(Refusal)? {
            b'"' => {}
            b'\\' => return self.escaped(start, place),
            _ => return Err(Refusal),
        }
        self.place = place + 1;
        self.push(Value::Text(Cow::Borrowed(&self.text[start..place])));
        Ok(())
    }

    /// A text of which the first escape is at `place`.
    fn escaped(&mut self, start: usize, mut place: usize) -> Read<()> {
        let bytes = self.text.as_bytes();
        let mut text = String::with_capacity(2 * (place - start) + 16);
        let mut copied = start;
        loop {
            match *bytes.get(place).ok_or(Refusal)? {
                b'"' => break,
                b'\\' => {
                    text.push_str(&self.text[copied..place]);
                    let letter = *bytes.get(place + 1).ok_or(Refusal)?;
                    place += 2;
                    let plain = match letter {
                        b'"' | b'\\' | b'/' => char::from(letter),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => coded(bytes, &mut place)?,
                        _ => return Err(Refusal),
                    };
                    text.push(plain);
                    copied = place;
                }
                byte => {
                    demand(byte >= b' ')?;
                    place += 1;
                }
            }
        }
        text.push_str(&self.text[copied..place]);
        self.place = place + 1;
        self.push(Value::Text(Cow::Owned(text)));
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.place;
        while self.text.as_bytes().get(self.place).is_some_and(u8::is_ascii_digit) {
            self.place += 1;
        }
        self.place - start
    }

    fn number(&mut self) -> Read<()> {
        let start = self.place;
        let is_negative = self.peek()? == b'-';
        self.place += usize::from(is_negative);
        let whole = self.place;
        let digits = self.digits();
        let is_zero = self.text.as_bytes().get(whole) == Some(&b'0');
        demand(digits > 0 && (digits == 1 || !is_zero))?;
        match self.text.as_bytes().get(self.place) {
            Some(b'.') => {
                self.place += 1;
                let point = self.place;
                demand(self.digits() > 0)?;
                let fraction = self.text[point..self.place].trim_end_matches('0');
                demand(digits + fraction.len() <= DECIMAL_DIGITS_MAX)?;
                if is_zero {
                    let zeros = fraction.len() - fraction.trim_start_matches('0').len();
                    demand(if fraction.is_empty() { !is_negative } else { zeros <= LEADING_ZEROS_MAX })?;
                }
                self.push(Value::Decimal(&self.text[start..point + fraction.len().max(1)]));
            }
            _ => {
                demand(digits <= INTEGER_DIGITS_MAX && !(is_zero && is_negative))?;
                self.push(Value::Integer(&self.text[start..self.place]));
            }
        }
        // An exponent comes where a comma or a bracket has to, and is refused there.
        Ok(())
    }
}

/// Where the first quote, backslash or control character is from `start` on, or the end: eight bytes are looked at a time.
fn plain_end(bytes: &[u8], start: usize) -> usize {
    let mut place = start;
    while let Some(word) = bytes.get(place..place + 8) {
        let mut digits = [0; 8];
        digits.copy_from_slice(word);
        let word = u64::from_le_bytes(digits);
        let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
        let marks = (control | zero_in(word ^ (ONES * u64::from(b'"'))) | zero_in(word ^ (ONES * u64::from(b'\\')))) & HIGH_BITS;
        if marks != 0 {
            // The lowest mark is right; those above it may be its borrow.
            return place + marks.trailing_zeros() as usize / 8;
        }
        place += 8;
    }
    let rest = bytes.get(place..).unwrap_or_default();
    place + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).unwrap_or(rest.len())
}

/// The letter of the digits after `\u`, and of those of the other half of a pair; never a null byte.
fn coded(bytes: &[u8], place: &mut usize) -> Read<char> {
    let mut code = unit(bytes, place)?;
    if (0xd800..0xdc00).contains(&code) {
        demand(bytes.get(*place..*place + 2) == Some(b"\\u"))?;
        *place += 2;
        let low = unit(bytes, place)?;
        demand((0xdc00..0xe000).contains(&low))?;
        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    demand(code != 0)?;
    char::from_u32(code).ok_or(Refusal)
}

/// Four hexadecimal digits.
fn unit(bytes: &[u8], place: &mut usize) -> Read<u32> {
    let digits = bytes.get(*place..*place + 4).ok_or(Refusal)?;
    *place += 4;
    digits.iter().try_fold(0, |number, digit| Ok(number << 4 | char::from(*digit).to_digit(16).ok_or(Refusal)?))
}
