//! Server-sent events, from bytes to the data of each event.

use std::collections::VecDeque;

/// Splits a byte stream into events. Only `data` is kept: comments, names, ids and retry times are passed over.
#[derive(Debug)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_cr: bool,
    first_line: bool,
    bytes_max: usize,
}

/// An event is longer than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Of events of at most so many bytes.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { line: Vec::new(), data: None, after_cr: false, first_line: true, bytes_max }
    }

    /// Takes the next bytes, and puts the data of each event that they end into `out`.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        let mut rest = chunk;
        if self.after_cr && rest.first() == Some(&b'\n') {
            rest = rest.get(1..).unwrap_or_default();
        }
        if !chunk.is_empty() {
            self.after_cr = false;
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, after) = rest.split_at(end);
            self.extend(line)?;
            self.end_of_line(out);
            let ended_by_cr = after.first() == Some(&b'\r');
            rest = after.get(1..).unwrap_or_default();
            if ended_by_cr {
                match rest.first() {
                    Some(b'\n') => rest = rest.get(1..).unwrap_or_default(),
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        self.extend(rest)
    }

    /// The data of an event whose empty line never came.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let mut out = VecDeque::new();
        self.end_of_line(&mut out);
        self.data.take()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let held = self.line.len().saturating_add(self.data.as_ref().map_or(0, Vec::len));
        if held.saturating_add(bytes.len()) > self.bytes_max {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_of_line(&mut self, out: &mut VecDeque<Vec<u8>>) {
        let whole = std::mem::take(&mut self.line);
        let mut line = whole.as_slice();
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            out.extend(self.data.take());
            return;
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return,
        };
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(bytes: &[u8], pieces: usize) -> Vec<String> {
        let (mut events, mut out) = (Events::new(1_000), VecDeque::new());
        for piece in bytes.chunks(pieces) {
            events.push(piece, &mut out).unwrap();
        }
        out.extend(events.rest());
        out.into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let text = "\u{feff}data: one\n\n: keep-alive\n\nevent: x\r\nid: 7\r\ndata:two\r\n\r\ndata: 3\rdata: 4\r\r\
                    retry: 5\ndata\n\ndatabase: no\n\ndata: é";
        for pieces in 1..=text.len() {
            let found = events(text.as_bytes(), pieces);
            assert_eq!(found, ["one", "two", "3\n4", "", "é"], "in pieces of {pieces}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_refused() {
        let (mut events, mut out) = (Events::new(8), VecDeque::new());
        assert_eq!(events.push(b"data:123\n\n", &mut out), Ok(()));
        assert_eq!(events.push(b"data:1234", &mut out), Err(TooLong));
        let mut events = Events::new(8);
        assert_eq!(events.push(b"data:12\ndata:1\n", &mut out), Ok(()));
        assert_eq!(events.push(b"data:123\n", &mut out), Err(TooLong));
    }
}
