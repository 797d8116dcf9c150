//! No test is switched off: a test that is ignored is a claim that nobody checks.
//!
//! Files are read as streams of tokens, so that attributes inside macros (as in `proptest!`) are seen as
//! well, and those in comments and strings are not.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{Violation, tree::Tree};

/// Finds files with a test under the attribute `ignore`, also under a `cfg_attr`.
pub fn ignored_tests(tree: &Tree) -> Vec<Violation> {
    tree.rust_files()
        .filter(|(_, text)| text.parse().is_ok_and(holds_ignore))
        .map(|(path, _)| Violation::new(path, "a test is ignored: repair it, or take it out"))
        .collect()
}

fn holds_ignore(tokens: TokenStream) -> bool {
    let mut after_hash = false;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            let attribute = after_hash && group.delimiter() == Delimiter::Bracket;
            if (attribute && names_ignore(group.stream())) || holds_ignore(group.stream()) {
                return true;
            }
        }
        after_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
    false
}

/// True for `ignore`, `ignore = "reason"` and `cfg_attr(condition, ignore)`.
fn names_ignore(attribute: TokenStream) -> bool {
    let mut tokens = attribute.into_iter();
    let head = tokens.next().map(|token| token.to_string());
    match (head.as_deref(), tokens.next()) {
        (Some("ignore"), _) => true,
        (Some("cfg_attr"), Some(TokenTree::Group(arguments))) => {
            arguments.stream().into_iter().any(|token| token.to_string() == "ignore")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! The rule on made-up files.

    use super::*;

    fn is_found(text: &str) -> bool {
        !ignored_tests(&Tree::of(&[("tests/a.rs", text)])).is_empty()
    }

    #[test]
    fn an_ignored_test_is_found() {
        assert!(is_found("#[test] #[ignore] fn claim() {}"));
        assert!(is_found("#[test] #[ignore = \"slow\"] fn claim() {}"));
        assert!(is_found("#[test] #[cfg_attr(windows, ignore)] fn claim() {}"));
    }

    #[test]
    fn an_ignored_test_inside_a_macro_is_found() {
        assert!(is_found("proptest! { #[test] #[ignore] fn claim(x in 0..9) {} }"));
    }

    #[test]
    fn the_word_alone_is_not_a_breach() {
        assert!(!is_found(
            "// #[ignore]\n#[test] fn ignore() { let text = \"#[ignore]\"; ignore(&[ignore]); }"
        ));
        assert!(!is_found("#[rustfmt::skip] #[doc(ignore)] fn claim() {}"));
    }
}
