//! Lines of edges, read one after the other: a file of any length takes no more memory than a line of it.

use std::io::{self, BufRead, Read as _};

use rollcall_proto::subscription::v1::FriendEdge;
use serde::Deserialize;

use super::Format;

/// The greatest length of a line in bytes: two ids of 32 bytes, each as six in JSON, and more than the rest needs.
const LINE_MAX: usize = 1_024;

/// What some programs write at the begin of a file: it belongs to no id.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A line that is not empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Which of the file, from 1.
    pub(super) number: u64,
    /// The edge, or why it is none. Its ids are not checked.
    pub(super) edge: Result<FriendEdge, String>,
}

/// Reads lines; empty ones are skipped and counted.
pub(super) struct Lines<R> {
    reader: R,
    format: Format,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Begins to read.
    pub(super) fn new(reader: R, format: Format) -> Self {
        Self { reader, format, number: 0, bytes: Vec::with_capacity(LINE_MAX) }
    }

    /// Reads the next line without its end, which is `\n` or `\r\n`; `None` if it is too long.
    fn read(&mut self) -> io::Result<Option<&[u8]>> {
        self.bytes.clear();
        let most = LINE_MAX as u64 + 1;
        self.reader.by_ref().take(most).read_until(b'\n', &mut self.bytes)?;
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        if line.len() > LINE_MAX {
            self.reader.skip_until(b'\n')?;
            return Ok(None);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some(line))
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.reader.fill_buf()?.is_empty())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.is_at_end() {
                Ok(true) => return None,
                Ok(false) => self.number += 1,
                Err(error) => return Some(Err(error)),
            }
            let (number, format) = (self.number, self.format);
            let edge = match self.read() {
                Ok(Some([])) => continue,
                Ok(Some(line)) => parse(line, format),
                Ok(None) => Err(format!("the line is too long, expected at most {LINE_MAX} bytes")),
                Err(error) => return Some(Err(error)),
            };
            return Some(Ok(Line { number, edge }));
        }
    }
}

/// Counts the lines that are not empty.
pub(super) fn count(reader: &mut impl BufRead) -> io::Result<u64> {
    let (mut lines, mut is_empty) = (0, true);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        for byte in bytes {
            match byte {
                b'\n' => is_empty = true,
                b'\r' => {}
                _ if is_empty => (lines, is_empty) = (lines + 1, false),
                _ => {}
            }
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

#[derive(Deserialize)]
struct JsonEdge {
    user_id: String,
    friend_id: String,
}

fn parse(line: &[u8], format: Format) -> Result<FriendEdge, String> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is no text in UTF-8".to_owned())?;
    let edge =
        |user: &str, friend: &str| FriendEdge { user_id: user.to_owned(), friend_id: friend.to_owned() };
    match format {
        Format::Tab => line.split_once('\t').map(|(user, friend)| edge(user, friend)).ok_or_else(|| {
            "the line holds no tab, expected user_id<TAB>friend_id, or another --format".to_owned()
        }),
        Format::Comma => match line.split(',').collect::<Vec<_>>()[..] {
            [user, friend] if [user, friend].iter().all(|id| id.trim() == *id) => Ok(edge(user, friend)),
            [_, _] => Err("an id begins or ends with a blank, expected none, or --format tab".to_owned()),
            ref parts => {
                let commas = parts.len() - 1;
                Err(format!(
                    "the line holds {commas} commas, expected user_id,friend_id, or another --format"
                ))
            }
        },
        Format::Json => serde_json::from_str(line)
            .map(|JsonEdge { user_id, friend_id }| FriendEdge { user_id, friend_id })
            .map_err(|error| format!("{error}, expected {{\"user_id\":\"…\",\"friend_id\":\"…\"}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], format: Format) -> Vec<Line> {
        Lines::new(text, format).collect::<Result<_, _>>().unwrap()
    }

    /// Reads one line, as user and friend.
    fn one(text: &str, format: Format) -> Result<(String, String), String> {
        let [line] = read(text.as_bytes(), format).try_into().unwrap();
        line.edge.map(|edge| (edge.user_id, edge.friend_id))
    }

    fn ids(user: &str, friend: &str) -> (String, String) {
        (user.to_owned(), friend.to_owned())
    }

    #[test]
    fn a_tab_stands_between_ids_that_are_taken_as_they_are() {
        assert_eq!(one("alice\tbob\n", Format::Tab), Ok(ids("alice", "bob")));
        assert_eq!(one(" a, b \t{\"}#\r\n", Format::Tab), Ok(ids(" a, b ", "{\"}#")));
        assert!(one("alice,bob", Format::Tab).unwrap_err().contains("expected user_id<TAB>friend_id"));
    }

    #[test]
    fn one_comma_stands_between_ids_without_blanks_at_their_ends() {
        assert_eq!(one("al ice,bob", Format::Comma), Ok(ids("al ice", "bob")));
        assert!(one("alice, bob", Format::Comma).unwrap_err().contains("begins or ends with a blank"));
        for (line, commas) in [("alice", "0 commas"), ("a,b,c", "2 commas")] {
            assert!(one(line, Format::Comma).unwrap_err().contains(commas), "{line}");
        }
    }

    #[test]
    fn a_json_object_names_both_ids() {
        let line = r#"{"user_id":"a\u0020b","friend_id":"\"","more":1}"#;
        assert_eq!(one(line, Format::Json), Ok(ids("a b", "\"")));
        assert!(one(r#"{"user_id":"a"}"#, Format::Json).unwrap_err().contains("friend_id"));
        assert!(one("a\tb", Format::Json).unwrap_err().contains("expected"));
    }

    #[test]
    fn empty_lines_are_skipped_and_counted() {
        let text = b"\xef\xbb\xbfa\tb\r\n\r\n\n\xff\nc\td";
        let lines = read(text, Format::Tab);
        let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 4, 5]);
        assert_eq!(lines[0].edge.as_ref().unwrap().user_id, "a");
        assert_eq!(lines[1].edge, Err("the line is no text in UTF-8".to_owned()));
        assert_eq!(count(&mut &text[..]).unwrap(), 3);
        assert_eq!((read(b"", Format::Tab), count(&mut &b""[..]).unwrap()), (vec![], 0));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
        let text = format!("{}\na\tb\n{}", "x".repeat(100_000), "y".repeat(LINE_MAX));
        let lines = read(text.as_bytes(), Format::Tab);
        let numbers: Vec<_> = lines.iter().map(|line| (line.number, line.edge.is_ok())).collect();
        assert_eq!(numbers, [(1, false), (2, true), (3, false)]);
        assert!(lines[0].edge.as_ref().unwrap_err().contains("at most 1024 bytes"));
        assert!(lines[2].edge.as_ref().unwrap_err().contains("no tab"));
        let text = format!("{}\tb\nc\td", "x".repeat(LINE_MAX - 2));
        assert!(read(text.as_bytes(), Format::Tab).iter().all(|line| line.edge.is_ok()));
    }
}
