//! The tree against its own rules. Each test names the rule; the rule itself is in the library beside it.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use rollcall_architecture::{
    assert_none, attributes, claims, dependencies, files, modules,
    packages::{self, Package},
    text,
    tree::Tree,
};

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::read(&root()));
static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| packages::read(&root()));

#[test]
fn the_tree_that_is_checked_holds_the_roots_of_all_packages() {
    assert!(TREE.text("Cargo.toml").is_some());
    assert!(!PACKAGES.is_empty());
    for root in roots() {
        assert!(TREE.text(&root).is_some(), "{root} is not in the tree");
    }
}

#[test]
fn dependencies_point_down_only() {
    assert_none(&dependencies::beyond_layer(&PACKAGES, dependencies::LAYERS));
}

#[test]
fn only_the_standalone_binary_links_services() {
    assert_none(&dependencies::linked_services(&PACKAGES));
}

#[test]
fn engines_are_known_to_their_owners_alone() {
    assert_none(&dependencies::without_ownership(&PACKAGES, dependencies::OWNED));
}

#[test]
fn the_domain_is_pure() {
    assert_none(&dependencies::impurities(&PACKAGES));
}

#[test]
fn no_program_file_has_more_than_500_lines() {
    assert_none(&files::too_long(&TREE));
}

#[test]
fn no_main_of_a_service_has_more_than_40_lines() {
    assert_none(&files::long_mains(&TREE));
}

#[test]
fn no_module_lives_in_mod_rs() {
    assert_none(&files::mod_rs(&TREE));
}

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    assert_none(&files::undocumented(&TREE));
}

#[test]
fn every_rust_file_is_reached_by_a_mod_declaration() {
    assert_none(&modules::unreached(&TREE, &roots()));
}

#[test]
fn no_test_is_ignored() {
    assert_none(&attributes::ignored_tests(&TREE));
}

#[test]
fn no_file_names_a_path_of_a_machine_or_a_registry_host() {
    assert_none(&text::foreign_places(&TREE));
}

#[test]
fn every_statement_of_the_source_document_is_held_by_a_test_that_exists() {
    assert!(TREE.text(claims::PAGE).is_some());
    assert_none(&claims::unheld(&TREE, claims::PAGE));
}

fn roots() -> Vec<String> {
    PACKAGES.iter().flat_map(|package| package.roots.clone()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the package lies two folders deep")
        .to_owned()
}
