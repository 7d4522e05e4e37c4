use super::*;

fn set(patterns: &[&str]) -> PatternSet {
    PatternSet::new(patterns).unwrap()
}

#[test]
fn the_last_pattern_that_matches_decides() {
    for (patterns, path, expected) in [
        (&["a"][..], "a", true),
        (&["a"], "a/b/c", true),
        (&["a"], "b/a", false),
        (&["a", "!a/b"], "a/b", false),
        (&["a", "!a/b"], "a/b/c", false),
        (&["a", "!a/b"], "a/c", true),
        (&["a", "!a/b", "a/b/c"], "a/b/c", true),
        (&["a", "!a/b", "a"], "a/b", true),
        (&["!a"], "a", false),
        (&["*", "!a.txt"], "a.txt", false),
        (&["**", "!**/*.rs"], "src/x.rs", false),
        (&["**", "!**/*.rs"], "src/x.c", true),
        (&["/a", " b "], "a", false),
        (&["/a", " b "], "b", true),
    ] {
        assert_eq!(set(patterns).matches(path), expected, "{patterns:?} {path}");
    }
}

#[test]
fn double_stars_cross_directories() {
    for (pattern, path, expected) in [
        ("**", "a", true),
        ("**", "", false),
        ("a/**", "a", false),
        ("a/**", "a/b", true),
        ("a/**", "a/b/c", true),
        ("a**", "abc/d", true),
        ("**/a", "a", true),
        ("**/a", "x/y/a", true),
        ("**/a", "xa", false),
        ("**a", "xa", true),
        ("**a?", "xab", false),
        ("**/a/b", "a/b", true),
        ("**/a/b", "x/a/b/c", true),
        ("**/a/b", "xa/b", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("**/*", "a", true),
        ("*/**", "a", false),
        ("*/**", "a/b", true),
    ] {
        assert_eq!(set(&[pattern]).matches(path), expected, "{pattern} {path}");
    }
}

#[test]
fn bad_patterns_are_refused_with_their_place() {
    let bad = |pattern: &str, source| {
        Err(PatternError::Bad {
            pattern: pattern.to_owned(),
            index: 1,
            source,
        })
    };
    for (pattern, expected) in [
        ("!", Err(PatternError::Empty { index: 1 })),
        ("[", bad("[", BadPattern::OpenClass)),
        ("[]a]", bad("[]a]", BadPattern::BadRange)),
        ("[a", bad("[a", BadPattern::OpenClass)),
        ("[z-a]", bad("[z-a]", BadPattern::ReversedRange)),
        ("a\\", bad("a\\", BadPattern::DanglingEscape)),
        ("a]", Ok(2)),
    ] {
        assert_eq!(
            PatternSet::new(["x", pattern]).map(|set| set.len()),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn a_walk_with_states_finds_what_single_questions_find() {
    let patterns = [
        "a",
        "!a/b",
        "a/b/c",
        "**/x",
        "!a/b/c/x",
        "d/**",
        "!d/e*",
        "[f-h]?/**/i",
        "j**",
    ];
    let set = set(&patterns);
    let names = ["a", "b", "c", "d", "e1", "g1", "i", "jk", "x"];
    let mut level = vec![(String::new(), ParentState::default())];
    for _ in 0..4 {
        let mut next = Vec::new();
        for (directory, state) in &level {
            for name in names {
                let path = if directory.is_empty() {
                    name.to_owned()
                } else {
                    format!("{directory}/{name}")
                };
                let (matched, state) = set.match_with_parent(&path, state);
                assert_eq!(matched, set.matches(&path), "{path}");
                next.push((path, state));
            }
        }
        level = next;
    }
}

#[test]
fn directories_below_which_nothing_comes_back_need_no_walk() {
    let set = set(&["**", "!docs/*.md", "!src/lib/a.rs", "!t[ab]/x"]);
    for (directory, expected) in [
        ("docs", true),
        ("src", true),
        ("src/lib", true),
        ("src/lib/a.rs", false),
        ("src/bin", false),
        ("ta", true),
        ("node_modules", false),
        ("doc", false),
    ] {
        let (_, state) = set.match_with_parent(directory, &ParentState::default());
        assert_eq!(set.may_take_back_below(&state), expected, "{directory}");
    }
}

#[test]
fn globs_match_as_go_does() {
    for (pattern, name, expected) in [
        ("*", "abc", Ok(true)),
        ("*", "a/b", Ok(false)),
        ("**", "a/b", Ok(false)),
        ("a*/b", "abc/b", Ok(true)),
        ("a?b", "a/b", Ok(false)),
        ("a[^x]b", "a/b", Ok(true)),
        ("[z-a]", "m", Ok(false)),
        ("[\\]a]", "]", Ok(true)),
        ("file[.]txt", "file.txt", Ok(true)),
        ("", "", Ok(true)),
        ("", "a", Ok(false)),
        ("a\\*", "a*", Ok(true)),
        ("x[", "y", Err(BadPattern::OpenClass)),
        ("[]", "a", Err(BadPattern::BadRange)),
        ("*x", "xxx", Ok(true)),
        ("ö?", "öä", Ok(true)),
    ] {
        assert_eq!(glob_match(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn a_hostile_pattern_costs_no_more_than_its_length_allows() {
    let pattern = "a*".repeat(200) + "b";
    let name = "a".repeat(5000);
    assert_eq!(glob_match(&pattern, &name), Ok(false));
    let deep = "b/".repeat(300) + "b";
    assert!(!set(&[&"**/a*".repeat(100)]).matches(&deep));
}

/// What moby/patternmatcher says, pattern by pattern: each is asked about the path and what is above it.
fn asked_one_by_one(patterns: &[String], path: &str) -> bool {
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    let names: Vec<_> = above.chain([path]).collect();
    let mut matched = false;
    for pattern in patterns {
        let (text, takes_back) = match pattern.strip_prefix('!') {
            Some(text) => (text, true),
            None => (pattern.as_str(), false),
        };
        if names.iter().any(|name| fits(text, name)) {
            matched = !takes_back;
        }
    }
    matched
}

fn fits(pattern: &str, name: &str) -> bool {
    let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
    match pattern.strip_prefix("**") {
        Some(end) if is_plain(end) => {
            name.ends_with(end) || end.strip_prefix('/').is_some_and(|end| end == name)
        }
        _ => {
            let pattern: Vec<char> = pattern.chars().collect();
            goes_through(&pattern, &name.chars().collect::<Vec<_>>())
        }
    }
}

/// Tries every way to read a text.
fn goes_through(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*'] | ['*', '*', '/'] => true,
        ['*', '*', '/', rest @ ..] | ['*', '*', rest @ ..] => {
            let ends = |at: &usize| *at == 0 || text[at - 1] == '/';
            (0..=text.len())
                .filter(ends)
                .any(|at| goes_through(rest, &text[at..]))
        }
        ['*', rest @ ..] => {
            let name = text
                .iter()
                .take_while(|character| **character != '/')
                .count();
            (0..=name).any(|at| goes_through(rest, &text[at..]))
        }
        ['[', low, '-', high, ']', rest @ ..] => {
            let (head, tail) = (text.first(), text.get(1..).unwrap_or_default());
            head.is_some_and(|head| (low..=high).contains(&head)) && goes_through(rest, tail)
        }
        [one, rest @ ..] => {
            let (head, tail) = (text.first(), text.get(1..).unwrap_or_default());
            head.is_some_and(|head| head == one || (*one == '?' && *head != '/'))
                && goes_through(rest, tail)
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_set_says_what_its_patterns_say_one_by_one(
        patterns in proptest::collection::vec("!?([ab]|[*]{1,3}|[?]|/|\\[a-b\\]){1,6}", 1..6),
        paths in proptest::collection::vec("[abc]{1,2}(/[abc]{1,2}){0,3}", 1..8),
    ) {
        let cleaned: Vec<_> = patterns
            .iter()
            .map(|pattern| clean_path(pattern))
            .filter(|pattern| pattern != "!")
            .collect();
        let set = PatternSet::new(&cleaned).unwrap();
        for path in &paths {
            let expected = asked_one_by_one(&cleaned, path);
            proptest::prop_assert_eq!(set.matches(path), expected, "{:?} {}", cleaned, path);
        }
    }

    #[test]
    fn nothing_comes_back_below_a_directory_that_need_not_be_entered(
        patterns in proptest::collection::vec("!?([ab]|[*]{1,2}|/){1,6}", 1..6),
        directory in "[ab]{1,2}(/[ab]{1,2}){0,1}",
        rest in "[ab]{1,2}(/[ab]{1,2}){0,1}",
    ) {
        let cleaned: Vec<_> = patterns
            .iter()
            .map(|pattern| clean_path(pattern))
            .filter(|pattern| pattern != "!")
            .collect();
        let set = PatternSet::new(&cleaned).unwrap();
        let (matched, state) = set.match_with_parent(&directory, &ParentState::default());
        if matched && !set.may_take_back_below(&state) {
            let path = format!("{directory}/{rest}");
            proptest::prop_assert!(set.matches(&path), "{:?} {}", cleaned, path);
        }
    }
}
