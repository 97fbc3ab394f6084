//! Text of Python's as text that can be shown.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The text, with one replacement character in the place of each lone surrogate, which UTF-8 has no bytes for.
pub(crate) fn lossy<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    if let Ok(text) = text.to_str() {
        return Cow::Borrowed(text);
    }
    let encoded = text.call_method1("encode", ("utf-8", "surrogatepass"));
    let Ok(encoded) = encoded.and_then(|bytes| Ok(bytes.cast_into::<PyBytes>()?)) else {
        return text.to_string_lossy();
    };
    let mut rest = encoded.as_bytes();
    let mut shown = Vec::with_capacity(rest.len());
    while let Some(first) = rest.first() {
        // What is three bytes long and begins like this is a surrogate, and nothing else.
        let is_surrogate = *first == 0xed && rest.get(1).is_some_and(|second| *second >= 0xa0);
        if is_surrogate {
            shown.extend_from_slice(REPLACEMENT);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            shown.push(*first);
            rest = &rest[1..];
        }
    }
    Cow::Owned(String::from_utf8_lossy(&shown).into_owned())
}

/// The flags of England, Scotland and Wales: a black one, and their names in tags that are not shown.
const FLAGS: [&str; 3] = [
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// The text for between quotes: what is not printable is escaped, but for what joins the parts of one sign or word.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let found = rest
            .char_indices()
            .find_map(|(place, char)| Some((place, kept(&rest[place..], char)?)));
        let (before, kept) = found.unwrap_or((rest.len(), 0));
        shown.extend(rest[..before].escape_debug());
        shown.push_str(&rest[before..before + kept]);
        rest = &rest[before + kept..];
    }
    shown
}

/// How much of what begins with `char` stays as it is, if that is none for `escape_debug`.
fn kept(rest: &str, char: char) -> Option<usize> {
    match char {
        '\u{200c}' | '\u{200d}' => Some(char.len_utf8()),
        '\u{1f3f4}' => FLAGS
            .iter()
            .find(|flag| rest.starts_with(**flag))
            .map(|flag| flag.len()),
        _ => None,
    }
}
