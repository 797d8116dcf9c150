//! The playground of a real `rollcall --demo` in a real browser, used as people use it.
//!
//! [`Playground`] is the page: it clicks, writes, and reads what is shown. Below it are the browser (`browser.rs`) and the
//! few words of the DevTools protocol that it is driven by (`devtools.rs`). What the page itself complains of (errors,
//! breaches of its policy) fails the test at [`Playground::end`]. The tests lie in `tests/`.

mod browser;
mod devtools;
mod page;

pub use page::{Line, Playground, Shown};
