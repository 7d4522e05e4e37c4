use super::super::glob::Stars;
use super::*;

/// One pattern of each kind that people write, for a number.
fn pattern(number: usize) -> String {
    match number % 12 {
        0 => format!("directory{number}/file{number}"),
        1 => format!("directory{number}/**"),
        2 => format!("**/name{number}"),
        3 => format!("directory{number}/*.o"),
        4 => format!("**/*.extension{number}"),
        5 => format!("*.end{number}"),
        6 => format!("generated{number}_*"),
        7 => format!("a{number}*b{number}"),
        8 => format!("**/x{number}/**/y"),
        9 => format!("**/keep{number}*"),
        10 => format!("[d-f]*{number}?"),
        _ => format!("*middle{number}*"),
    }
}

fn automaton(patterns: usize) -> Automaton {
    let mut automaton = Automaton::default();
    for number in 0..patterns {
        let glob = Glob::parse(&pattern(number), Stars::CrossDirectories).unwrap();
        automaton.add(&glob, number, number % 5 == 0);
    }
    automaton
}

/// A path of a tree whose directories some of the patterns name.
fn path(number: usize) -> String {
    format!(
        "directory{}/source{}/file{number}.o",
        number / 50,
        number / 10
    )
}

/// Returns from how many places characters were followed while these paths were read, each from its start.
fn places_followed(automaton: &Automaton, paths: &[String]) -> usize {
    let mut followed = 0;
    for path in paths {
        let mut places = automaton.start();
        for character in path.chars() {
            followed += places.len();
            places = automaton.step(&places, character);
        }
    }
    followed
}

#[test]
fn the_work_grows_with_the_paths_and_not_with_the_patterns() {
    let paths: Vec<_> = (0..2000).map(path).collect();
    let characters: usize = paths.iter().map(String::len).sum();
    let few = places_followed(&automaton(24), &paths);
    let many = places_followed(&automaton(2400), &paths);
    assert!(few <= 8 * characters, "{few} for {characters} characters");
    assert!(many <= 8 * characters, "{many} for {characters} characters");
}

#[test]
fn the_size_grows_with_the_text_of_the_patterns() {
    let text: usize = (0..2400).map(|number| pattern(number).len()).sum();
    let places = automaton(2400).nodes.len();
    assert!(places <= text + 1, "{places} places for {text} characters");
}
