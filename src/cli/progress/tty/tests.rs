use super::*;
use crate::env::Screen;
use crate::progress::recorded;

fn size(columns: u16, rows: u16) -> TerminalSize {
    TerminalSize { rows, columns }
}

fn tty() -> Tty {
    let screen = Screen {
        no_color: true,
        locale: Some("C.UTF-8".to_owned()),
        ..Screen::default()
    };
    Tty::new(Look::of(&screen).0)
}

/// A terminal of the kind that all are, as far as the display uses it.
struct Model {
    rows: Vec<String>,
    row: usize,
    height: usize,
    hidden: bool,
}

impl Model {
    fn new(height: usize) -> Self {
        Self {
            rows: vec![String::new()],
            row: 0,
            height,
            hidden: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut text = std::str::from_utf8(bytes).unwrap();
        let mut column = 0;
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if let Some(rest) = text.strip_prefix("\u{1b}[") {
                let end = rest.find(|char: char| char.is_ascii_alphabetic()).unwrap();
                let (parameters, rest) = rest.split_at(end);
                let (name, rest) = rest.split_at(1);
                self.obey(name, parameters);
                text = rest;
                chars = text.chars();
                continue;
            }
            text = chars.as_str();
            match char {
                '\r' => column = 0,
                '\n' => {
                    self.row += 1;
                    if self.row == self.rows.len() {
                        self.rows.push(String::new());
                    }
                }
                char => {
                    if column == 0 {
                        self.rows[self.row].clear();
                    }
                    column += 1;
                    self.rows[self.row].push(char);
                }
            }
        }
        assert_eq!(column, 0, "the cursor is in the first column");
        assert!(!self.hidden, "the cursor is seen");
    }

    fn obey(&mut self, name: &str, parameters: &str) {
        match (name, parameters) {
            ("A", count) => {
                let count: usize = count.parse().unwrap();
                assert!(count < self.height, "the cursor stays on the screen");
                self.row -= count;
            }
            ("K", "") | ("h" | "l", "?7") => {}
            ("J", "") => self.rows.truncate(self.row + 1),
            ("l", "?25") => self.hidden = true,
            ("h", "?25") => self.hidden = false,
            other => panic!("{other:?} is not used"),
        }
        if name == "J" {
            self.rows[self.row].clear();
        }
    }

    fn text(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(|row| row.trim_end()).collect();
        rows.join("\n")
    }
}

#[test]
fn a_display_that_was_painted_in_parts_is_the_one_that_is_painted_at_once() {
    let events = recorded::two_platforms();
    let end = events.last().unwrap().at;
    let (mut tty, mut terminal) = (tty(), Model::new(24));
    let mut frames = 0;
    for timed in &events {
        let mut out = Vec::new();
        tty.take(timed, &mut out).unwrap();
        tty.paint(Some(size(80, 24)), timed.at, &mut out).unwrap();
        frames += usize::from(!out.is_empty());
        terminal.feed(&out);
    }
    assert!(frames > 50, "{frames}");
    let mut out = Vec::new();
    tty.finish(Some(size(80, 24)), &mut out).unwrap();
    terminal.feed(&out);
    let lines = summary(&tty.picture, size(80, 24), end);
    let lines: Vec<_> = lines.iter().map(|line| line.text.trim_end()).collect();
    let shown = terminal.text();
    assert!(
        shown.starts_with("warning: InvalidBaseImagePlatform"),
        "{shown}"
    );
    let (warnings, frame) = shown.split_at(shown.find("[+]").unwrap());
    assert_eq!(frame, lines.join("\n") + "\n");
    assert_eq!(warnings.matches("warning: ").count(), 2, "{warnings}");
}

#[test]
fn a_terminal_that_becomes_narrower_is_painted_from_where_the_frame_begins_there() {
    let mut tty = tty();
    for timed in recorded::two_platforms().iter().take(20) {
        tty.take(timed, &mut Vec::new()).unwrap();
    }
    let now = Duration::from_secs(1);
    tty.paint(Some(size(80, 24)), now, &mut Vec::new()).unwrap();
    let lines = tty.shown.len();
    let long = tty
        .shown
        .iter()
        .filter(|line| line.text.width() > 40)
        .count();
    assert!(long > 0);
    let mut out = Vec::new();
    tty.paint(Some(size(40, 24)), now, &mut out).unwrap();
    let expected = format!("{BEGIN}\r\u{1b}[{}A", lines + long);
    assert!(String::from_utf8(out).unwrap().starts_with(&expected));
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let mut tty = tty();
    let mut out = Vec::new();
    tty.paint(Some(size(80, 24)), Duration::ZERO, &mut out)
        .unwrap();
    assert_eq!(out, b"");
    for timed in recorded::two_platforms().iter().take(20) {
        tty.take(timed, &mut Vec::new()).unwrap();
    }
    let paint = |tty: &mut Tty, millis| {
        let mut out = Vec::new();
        let now = Duration::from_millis(millis);
        tty.paint(Some(size(80, 24)), now, &mut out).unwrap();
        out.len()
    };
    assert!(paint(&mut tty, 1000) > 0);
    assert_eq!(paint(&mut tty, 1001), 0);
    assert!(paint(&mut tty, 1100) > 0);
}
