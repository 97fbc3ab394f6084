//! A bounded text buffer that keeps the newest bytes and knows how many it dropped.

use std::collections::VecDeque;

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
    pub fn push(&mut self, new: &[u8]) {
        self.written += new.len() as u64;
        let new = &new[new.len().saturating_sub(self.limit)..];
        let over = (self.bytes.len() + new.len()).saturating_sub(self.limit);
        self.bytes.drain(..over);
        self.bytes.extend(new);
    }

    /// The bytes that are kept from `position` on.
    pub fn bytes(&self, position: u64) -> Vec<u8> {
        let skip = position.saturating_sub(self.dropped());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.bytes.iter().skip(skip).copied().collect()
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
    pub fn read(&self, position: u64, all: bool) -> (String, u64) {
        self.read_until(position, self.written, all)
    }

    /// The same of what was written before `until`, a later position.
    pub fn read_until(&self, position: u64, until: u64, all: bool) -> (String, u64) {
        let until = until.min(self.written);
        if until <= position.max(self.dropped()) {
            return (String::new(), until.max(position));
        }
        let index = |at: u64| usize::try_from(at.saturating_sub(self.dropped()));
        let skip = index(position).unwrap_or(usize::MAX);
        let end = index(until).unwrap_or(usize::MAX);
        let mut bytes: Vec<u8> = self.bytes.range(skip..end).copied().collect();
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
        (
            String::from_utf8_lossy(&bytes).into_owned(),
            until - open as u64,
        )
    }

    /// The last `n` lines; a last line without a newline counts as one.
    pub fn tail(&self, n: usize) -> String {
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
        self.read(self.dropped() + start as u64, true).0
    }
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
        ring.push(b"hello ");
        ring.push(b"world!");
        assert_eq!(ring.read(0, true), ("llo world!".to_owned(), 12));
        assert_eq!(ring.dropped(), 2);
        assert_eq!(ring.bytes(0), b"llo world!");
        assert_eq!(
            (ring.bytes(9), ring.bytes(99)),
            (b"ld!".to_vec(), Vec::new())
        );
        ring.push(&vec![b'x'; 1000]);
        assert_eq!((ring.read(0, true).0.len(), ring.written()), (10, 1012));
    }

    #[test]
    fn a_reader_goes_on_where_it_was_even_where_the_text_is_gone() {
        let mut ring = Ring::new(4);
        ring.push(b"ab");
        let (text, at) = ring.read(0, false);
        assert_eq!(text, "ab");
        assert_eq!(ring.read(at, false), (String::new(), at));
        ring.push(b"cdefgh");
        assert_eq!(ring.read(at, false), ("efgh".to_owned(), 8));
    }

    #[test]
    fn a_reader_can_stop_at_a_position() {
        let mut ring = Ring::new(6);
        ring.push("ab€".as_bytes());
        assert_eq!(ring.read_until(0, 2, false), ("ab".to_owned(), 2));
        assert_eq!(ring.read_until(2, 2, true), (String::new(), 2));
        assert_eq!(ring.read_until(3, 2, true), (String::new(), 3));
        // In the middle of a character: it comes whole, later.
        assert_eq!(ring.read_until(0, 4, false), ("ab".to_owned(), 2));
        assert_eq!(ring.read_until(2, 99, false), ("€".to_owned(), 5));
        ring.push(b"0123456789");
        // Gone: there is nothing to give, and the reader goes on behind it.
        assert_eq!(ring.read_until(0, 5, false), (String::new(), 5));
        assert_eq!(ring.read_until(5, 12, false), ("456".to_owned(), 12));
    }

    #[test]
    fn characters_are_not_cut() {
        let mut ring = Ring::new(5);
        ring.push("ääää".as_bytes());
        assert_eq!(ring.read(0, true).0, "ää");
        let mut ring = Ring::new(100);
        ring.push(&"€".as_bytes()[..2]);
        assert_eq!(ring.read(0, false), (String::new(), 0));
        assert_eq!(ring.read(0, true).0, "\u{FFFD}");
        ring.push(&"€".as_bytes()[2..]);
        assert_eq!(ring.read(0, false), ("€".to_owned(), 3));
        ring.push(b"\xFF!");
        assert_eq!(ring.read(3, false).0, "\u{FFFD}!");
    }

    #[test]
    fn the_tail_is_counted_in_lines() {
        let mut ring = Ring::new(100);
        assert_eq!(ring.tail(3), "");
        ring.push(b"one\ntwo\nthree");
        assert_eq!(ring.tail(1), "three");
        ring.push(b"\n");
        assert_eq!(ring.tail(1), "three\n");
        assert_eq!(ring.tail(2), "two\nthree\n");
        assert_eq!(ring.tail(9), "one\ntwo\nthree\n");
        assert_eq!(ring.tail(0), "");
    }
}
