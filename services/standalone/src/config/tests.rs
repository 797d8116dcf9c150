//! The README's table of configuration is the program's.

use std::collections::BTreeMap;

use rollcall_runtime::config::{Profile, to_toml};

use super::*;

/// Flattens TOML as the program prints it to `section.key` and its value, both verbatim.
fn printed(profile: Profile) -> BTreeMap<String, String> {
    let text = to_toml(&Config::profile(profile)).unwrap();
    let mut section = String::new();
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            values.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    values
}

#[test]
fn the_readme_tells_every_key_with_its_default_in_both_profiles() {
    let readme = include_str!("../../../../README.md");
    let table = readme.split("<!-- configuration: begin").nth(1).unwrap();
    let table = table.split("<!-- configuration: end").next().unwrap();
    let mut told = (BTreeMap::new(), BTreeMap::new());
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, key, default, fast, ..] = cells.as_slice() else { panic!("a row of too few cells: {row}") };
        told.0.insert((*key).to_owned(), (*default).to_owned());
        let fast = if fast.is_empty() { default } else { fast };
        told.1.insert((*key).to_owned(), (*fast).to_owned());
    }
    assert_eq!(told, (printed(Profile::Default), printed(Profile::Fast)));
}
