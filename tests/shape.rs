//! No file and no function is longer than a reader can hold in mind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const LONGEST_FILE: usize = 450;
const LONGEST_FUNCTION: usize = 60;
const FOLDERS: [&str; 4] = ["src", "tests", "benches", "examples"];

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// The name of the function that begins at `at`, and its first and last line; nothing for a function type or one without
/// a body.
fn function(tokens: &[TokenTree], at: usize) -> Option<(String, usize, usize)> {
    let [TokenTree::Ident(word), TokenTree::Ident(name), rest @ ..] = &tokens[at..] else { return None };
    if *word != "fn" {
        return None;
    }
    for token in rest {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return None,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                return Some((name.to_string(), word.span().start().line, group.span_close().end().line));
            }
            _ => {}
        }
    }
    None
}

/// All functions in `stream` that are too long, those in other functions and modules included.
fn long_functions(stream: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for at in 0..tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            long_functions(group.stream(), found);
        } else if is_word(&tokens[at], "fn") {
            let long = |(_, first, last): &(String, usize, usize)| last - first >= LONGEST_FUNCTION;
            let line = |(name, first, last): (String, usize, usize)| {
                format!("{first}: {name} has {} lines, more than {LONGEST_FUNCTION}", last - first + 1)
            };
            found.extend(function(&tokens, at).filter(long).map(line));
        }
    }
}

fn complaints(source: &str) -> Vec<String> {
    let lines = source.lines().count();
    let mut found = Vec::new();
    if lines > LONGEST_FILE {
        found.push(format!("1: the file has {lines} lines, more than {LONGEST_FILE}"));
    }
    long_functions(source.parse().unwrap(), &mut found);
    found
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let all = complaints(&fs::read_to_string(&path).unwrap());
            found.extend(all.into_iter().map(|text| format!("{}:{text}", path.display())));
        }
    }
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let mut found = Vec::new();
    for folder in FOLDERS {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found.sort();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_checker_counts_right() {
    let body = |lines: usize| "let a = 0;\n".repeat(lines);
    let long =
        format!("impl A {{ fn fits() {{\n{}}}\nfn long<T>(a: T) -> u8\nwhere T: B {{\n{}}} }}", body(58), body(58));
    assert_eq!(complaints(&long), ["61: long has 61 lines, more than 60"]);
    assert_eq!(complaints(&format!("trait A {{ fn a();\n{} fn b() {{}} }}", "const X: u8 = 0;\n".repeat(70))), [""; 0]);
    assert_eq!(complaints("type A = fn(u8);\n"), [""; 0]);
    assert_eq!(complaints(&"\n".repeat(451)), ["1: the file has 451 lines, more than 450"]);
}
