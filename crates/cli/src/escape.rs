//! Text that others wrote, made harmless: control characters, escape sequences, and characters that are invisible
//! or turn the direction of writing could otherwise steer a terminal or deceive its reader.

use std::fmt::Write as _;

/// Joins pictographs into one (Unicode Standard Annex 29).
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Escapes text so that it fills its cell of a table and no more. A backslash is escaped too, so that what is
/// shown can be told from what was written.
pub(crate) fn text(text: &str) -> String {
    escape(text, |c| c != '\\' && is_harmless(c))
}

/// Escapes a line of our own that may hold such text; backslashes are left.
pub(crate) fn line(text: &str) -> String {
    escape(text, |c| c == '\\' || is_harmless(c))
}

/// Escapes JSON further, without changing what it means: serde leaves all but ASCII controls as they are.
pub(crate) fn json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        // Within JSON text these stand in strings only.
        if is_harmless(c) || c == '\\' {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string never fails.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn escape(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        let joins =
            c == ZERO_WIDTH_JOINER && before.is_some_and(is_pictograph) && after.is_some_and(is_pictograph);
        // A combining mark in front would sit on the border of the cell.
        let combines = before.is_none() && c.escape_debug().len() > 2;
        if joins || is_plain(c) && !combines {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_debug());
        }
        before = Some(c);
    }
    escaped
}

/// Says whether a character shows as itself: not a control, format, private or unassigned character, nor a
/// separator other than the space.
fn is_harmless(c: char) -> bool {
    // `str::escape_debug` knows the tables; it treats quotes and a leading combining mark as special.
    matches!(c, '"' | '\'') || {
        let mut probe = String::from("x");
        probe.push(c);
        probe.escape_debug().skip(1).eq([c])
    }
}

/// Says whether a character can be part of a joined pictograph: a symbol, a skin tone, a variation selector.
fn is_pictograph(c: char) -> bool {
    c >= '\u{2190}' && !c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_shown_and_not_done() {
        let cases = [
            ("\u{1b}[2J", "\\u{1b}[2J"),       // clears the screen
            ("\u{9b}31m", "\\u{9b}31m"),       // the same introducer in one character
            ("a\r\nb\tc", "a\\r\\nb\\tc"),     // breaks the table
            ("\u{7}\u{7f}", "\\u{7}\\u{7f}"),  // bell, delete
            ("\u{202e}evil", "\\u{202e}evil"), // writes backwards
            ("a\u{2066}b", "a\\u{2066}b"),     // isolates
            ("a\u{200b}b", "a\\u{200b}b"),     // invisible
            ("a\u{200d}b", "a\\u{200d}b"),     // a joiner that joins nothing
            ("a\u{2028}b", "a\\u{2028}b"),     // line separator
            ("\u{e0041}", "\\u{e0041}"),       // tag
            ("\u{301}a", "\\u{301}a"),         // combines with the border
            ("a\\nb", "a\\\\nb"),              // a backslash that was written
        ];
        for (written, shown) in cases {
            assert_eq!(text(written), shown);
        }
    }

    #[test]
    fn what_people_write_is_shown_as_it_is() {
        for written in [
            "listening to music",
            "통화 중",
            "e\u{301}te\u{301}",
            "it's \"fine\"",
            "🏖️",
            "👩🏽\u{200d}💻",
            "❤️\u{200d}🔥",
        ] {
            assert_eq!(text(written), written);
        }
    }

    #[test]
    fn a_line_keeps_its_backslashes_and_nothing_else() {
        assert_eq!(line("C:\\x\u{1b}\n"), "C:\\x\\u{1b}\\n");
    }

    #[test]
    fn json_means_the_same_and_steers_nothing() {
        for written in ["\u{1b}\u{9b}\u{202e}\u{7f}\u{e0041}\u{200d} \"q\" \\ \n", "통화 중 🏖️", ""] {
            let before = serde_json::to_string(written).unwrap();
            let after = json(&before);
            assert_eq!(serde_json::from_str::<String>(&after).unwrap(), written);
            assert!(after.chars().all(|c| c == '\\' || is_harmless(c)), "{after}");
        }
        assert_eq!(json(r#""통화 중""#), r#""통화 중""#);
    }
}
