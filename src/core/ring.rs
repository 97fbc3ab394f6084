//! A bounded text buffer that keeps the newest bytes and knows how many it dropped.

use std::collections::{TryReserveError, VecDeque};

/// The last `limit` bytes of everything that was written.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    limit: usize,
    /// Bytes ever written; `written - bytes.len()` is the position of the first byte kept.
    written: u64,
}

impl Ring {
    /// An empty buffer for `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            limit,
            written: 0,
        }
    }

    /// Append; the oldest bytes make room.
    ///
    /// # Errors
    /// There is no memory for it: nothing was appended.
    pub fn push(&mut self, new: &[u8]) -> Result<(), TryReserveError> {
        let (length, room) = (self.bytes.len(), self.bytes.capacity());
        let needed = length.saturating_add(new.len()).min(self.limit);
        if needed > room {
            let ample = needed.max(room.saturating_mul(2).min(self.limit));
            self.bytes
                .try_reserve_exact(ample - length)
                .or_else(|_| self.bytes.try_reserve_exact(needed - length))?;
        }
        self.append(new, self.limit);
        Ok(())
    }

    /// Append what there is memory for: in the place of the oldest bytes, where there is none for more.
    pub fn push_what_fits(&mut self, new: &[u8]) {
        if self.push(new).is_err() {
            self.append(new, self.bytes.capacity().min(self.limit));
        }
    }

    /// Append, and keep `limit` bytes, for which there is room.
    fn append(&mut self, new: &[u8], limit: usize) {
        self.written += new.len() as u64;
        let new = &new[new.len().saturating_sub(limit)..];
        let over = (self.bytes.len() + new.len()).saturating_sub(limit);
        self.bytes.drain(..over);
        self.bytes.extend(new);
    }

    /// The bytes that are kept from `position` on.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn bytes(&self, position: u64) -> Result<Vec<u8>, TryReserveError> {
        let skip = position.saturating_sub(self.dropped());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.copy(skip.min(self.bytes.len()), self.bytes.len())
    }

    fn copy(&self, from: usize, to: usize) -> Result<Vec<u8>, TryReserveError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(to - from)?;
        bytes.extend(self.bytes.range(from..to));
        Ok(bytes)
    }

    /// Bytes ever written: the position after the newest.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that are gone.
    pub fn dropped(&self) -> u64 {
        self.written - self.bytes.len() as u64
    }

    /// The text from `position` on, or from the oldest byte kept where that is gone. Bytes that are no UTF-8 (a character
    /// cut by the bound among them) come as U+FFFD; a character that is still being written at the end is left for the
    /// next read, unless `all` asks for everything. Returns the text and the position to go on from.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn read(&self, position: u64, all: bool) -> Result<(String, u64), TryReserveError> {
        self.read_until(position, self.written, all)
    }

    /// The same of what was written before `until`, a later position.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn read_until(
        &self,
        position: u64,
        until: u64,
        all: bool,
    ) -> Result<(String, u64), TryReserveError> {
        let until = until.min(self.written);
        if until <= position.max(self.dropped()) {
            return Ok((String::new(), until.max(position)));
        }
        let index = |at: u64| usize::try_from(at.saturating_sub(self.dropped()));
        let skip = index(position).unwrap_or(usize::MAX);
        let end = index(until).unwrap_or(usize::MAX);
        let mut bytes = self.copy(skip, end)?;
        if skip == 0 && position < self.dropped() {
            // The bound cut here: drop the rest of a character whose beginning is gone.
            let rest = bytes
                .iter()
                .take(3)
                .take_while(|byte| is_continuation(**byte))
                .count();
            bytes.drain(..rest);
        }
        let open = if all { 0 } else { open_character(&bytes) };
        bytes.truncate(bytes.len() - open);
        Ok((text_of(bytes)?, until - open as u64))
    }

    /// The last `n` lines; a last line without a newline counts as one.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn tail(&self, n: usize) -> Result<String, TryReserveError> {
        let ends = self.bytes.len().saturating_sub(1);
        let start = if n == 0 {
            self.bytes.len()
        } else {
            // The newline that ends the last line does not begin another one.
            (0..ends)
                .rev()
                .filter(|index| self.bytes[*index] == b'\n')
                .nth(n - 1)
                .map_or(0, |i| i + 1)
        };
        Ok(self.read(self.dropped() + start as u64, true)?.0)
    }
}

/// As `String::from_utf8_lossy`, where there may be no memory for it.
fn text_of(bytes: Vec<u8>) -> Result<String, TryReserveError> {
    String::from_utf8(bytes).or_else(|error| {
        let mut text = String::new();
        for chunk in error.as_bytes().utf8_chunks() {
            text.try_reserve(chunk.valid().len() + char::REPLACEMENT_CHARACTER.len_utf8())?;
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(text)
    })
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// How many bytes at the end are the beginning of a character that is not complete.
fn open_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        if !is_continuation(byte) {
            let length = match byte {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF7 => 4,
                _ => 1,
            };
            return if length > back { back } else { 0 };
        }
    }
    0
}

#[cfg(test)]
mod test {
    use super::Ring;

    #[test]
    fn it_keeps_the_newest_and_counts_what_it_dropped() {
        let mut ring = Ring::new(10);
        ring.push(b"hello ").unwrap();
        ring.push(b"world!").unwrap();
        assert_eq!(ring.read(0, true).unwrap(), ("llo world!".to_owned(), 12));
        assert_eq!(ring.dropped(), 2);
        assert_eq!(ring.bytes(0).unwrap(), b"llo world!");
        assert_eq!(
            (ring.bytes(9).unwrap(), ring.bytes(99).unwrap()),
            (b"ld!".to_vec(), Vec::new())
        );
        ring.push(&vec![b'x'; 1000]).unwrap();
        assert_eq!(
            (ring.read(0, true).unwrap().0.len(), ring.written()),
            (10, 1012)
        );
    }

    #[test]
    fn a_reader_goes_on_where_it_was_even_where_the_text_is_gone() {
        let mut ring = Ring::new(4);
        ring.push(b"ab").unwrap();
        let (text, at) = ring.read(0, false).unwrap();
        assert_eq!(text, "ab");
        assert_eq!(ring.read(at, false).unwrap(), (String::new(), at));
        ring.push(b"cdefgh").unwrap();
        assert_eq!(ring.read(at, false).unwrap(), ("efgh".to_owned(), 8));
    }

    #[test]
    fn a_reader_can_stop_at_a_position() {
        let mut ring = Ring::new(6);
        ring.push("ab€".as_bytes()).unwrap();
        assert_eq!(ring.read_until(0, 2, false).unwrap(), ("ab".to_owned(), 2));
        assert_eq!(ring.read_until(2, 2, true).unwrap(), (String::new(), 2));
        assert_eq!(ring.read_until(3, 2, true).unwrap(), (String::new(), 3));
        // In the middle of a character: it comes whole, later.
        assert_eq!(ring.read_until(0, 4, false).unwrap(), ("ab".to_owned(), 2));
        assert_eq!(ring.read_until(2, 99, false).unwrap(), ("€".to_owned(), 5));
        ring.push(b"0123456789").unwrap();
        // Gone: there is nothing to give, and the reader goes on behind it.
        assert_eq!(ring.read_until(0, 5, false).unwrap(), (String::new(), 5));
        assert_eq!(
            ring.read_until(5, 12, false).unwrap(),
            ("456".to_owned(), 12)
        );
    }

    #[test]
    fn characters_are_not_cut() {
        let mut ring = Ring::new(5);
        ring.push("ääää".as_bytes()).unwrap();
        assert_eq!(ring.read(0, true).unwrap().0, "ää");
        let mut ring = Ring::new(100);
        ring.push(&"€".as_bytes()[..2]).unwrap();
        assert_eq!(ring.read(0, false).unwrap(), (String::new(), 0));
        assert_eq!(ring.read(0, true).unwrap().0, "\u{FFFD}");
        ring.push(&"€".as_bytes()[2..]).unwrap();
        assert_eq!(ring.read(0, false).unwrap(), ("€".to_owned(), 3));
        ring.push(b"\xFF!").unwrap();
        assert_eq!(ring.read(3, false).unwrap().0, "\u{FFFD}!");
    }

    #[test]
    fn the_tail_is_counted_in_lines() {
        let mut ring = Ring::new(100);
        assert_eq!(ring.tail(3).unwrap(), "");
        ring.push(b"one\ntwo\nthree").unwrap();
        assert_eq!(ring.tail(1).unwrap(), "three");
        ring.push(b"\n").unwrap();
        assert_eq!(ring.tail(1).unwrap(), "three\n");
        assert_eq!(ring.tail(2).unwrap(), "two\nthree\n");
        assert_eq!(ring.tail(9).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(ring.tail(0).unwrap(), "");
    }

    #[test]
    fn without_memory_the_newest_that_fits_is_kept() {
        let mut ring = Ring::new(usize::MAX);
        ring.push(b"0123456789").unwrap();
        let room = ring.bytes.capacity();
        // As after a push that found no memory.
        ring.append(&vec![b'x'; room - 4], room);
        assert_eq!(ring.bytes.capacity(), room);
        assert_eq!(ring.written(), room as u64 + 6);
        assert_eq!(&ring.bytes(0).unwrap()[..5], b"6789x");
        let mut empty = Ring::new(10);
        empty.append(b"gone", 0);
        assert_eq!(
            (empty.dropped(), empty.tail(1).unwrap()),
            (4, String::new())
        );
    }
}
