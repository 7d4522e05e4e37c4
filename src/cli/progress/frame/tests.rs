use super::*;
use crate::progress::recorded;
use solver::TimedEvent;
use solver::event::{Event, Origin, StepId};
use unicode_width::UnicodeWidthStr as _;

const USUAL: (u16, u16) = (80, 24);
const WIDE: (u16, u16) = (200, 50);
const SMALL: (u16, u16) = (40, 10);

fn size((columns, rows): (u16, u16)) -> TerminalSize {
    TerminalSize { rows, columns }
}

/// Returns what is known at a time, and the time.
fn picture_at(seconds: f64) -> (Picture, Duration) {
    let now = Duration::from_secs_f64(seconds);
    let mut picture = Picture::new(6);
    let events = recorded::two_platforms();
    for timed in events.iter().take_while(|timed| timed.at <= now) {
        picture.take(timed);
    }
    (picture, now)
}

/// Returns a screen as text. None of its lines is too long, and there are not too many.
fn screen(columns_and_rows: (u16, u16), seconds: f64) -> String {
    let (picture, now) = picture_at(seconds);
    let size = size(columns_and_rows);
    let lines = frame(&picture, size, now);
    assert!(lines.len() < usize::from(size.rows), "{lines:?}");
    text(&lines, size)
}

fn text(lines: &[Line], size: TerminalSize) -> String {
    let texts: Vec<_> = lines.iter().map(|line| line.text.trim_end()).collect();
    for text in &texts {
        assert!(text.width() < usize::from(size.columns), "{text:?}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    texts.join("\n")
}

#[test]
fn what_is_fetched_and_unpacked_is_told_in_bytes() {
    insta::assert_snapshot!("fetching_80x24", screen(USUAL, 3.0));
    insta::assert_snapshot!("fetching_200x50", screen(WIDE, 3.0));
    insta::assert_snapshot!("fetching_40x10", screen(SMALL, 3.0));
}

#[test]
fn steps_of_two_platforms_are_shown_side_by_side_with_their_last_lines() {
    insta::assert_snapshot!("running_80x24", screen(USUAL, 9.0));
    insta::assert_snapshot!("running_200x50", screen(WIDE, 9.0));
    insta::assert_snapshot!("running_40x10", screen(SMALL, 9.0));
}

#[test]
fn stages_that_are_done_are_folded() {
    insta::assert_snapshot!("folded_80x24", screen(USUAL, 12.55));
    insta::assert_snapshot!("folded_200x50", screen(WIDE, 12.55));
    insta::assert_snapshot!("folded_40x10", screen(SMALL, 12.55));
}

#[test]
fn what_is_packed_and_pushed_beside_the_steps_is_shown() {
    insta::assert_snapshot!("pushing_80x24", screen(USUAL, recorded::PUSHING_SECONDS));
    insta::assert_snapshot!("pushing_40x10", screen(SMALL, recorded::PUSHING_SECONDS));
}

#[test]
fn the_end_has_a_line_for_each_step() {
    let (picture, now) = picture_at(1000.0);
    let end = recorded::two_platforms()
        .last()
        .map_or(now, |timed| timed.at);
    let lines = summary(&picture, size(USUAL), end);
    insta::assert_snapshot!("end_80x24", text(&lines, size(USUAL)));
}

#[test]
fn three_hundred_steps_have_room_on_any_screen() {
    let mut picture = Picture::new(6);
    let mut take = |at: u64, event| {
        let at = Duration::from_secs(at);
        picture.take(&TimedEvent { at, event });
    };
    for number in 0..300 {
        let step = StepId(number.to_string());
        let name = format!("[{}/{}] RUN step-{number}", number + 1, 300);
        let (started, finished) = (name.clone(), name.clone());
        take(
            0,
            Event::Started {
                step: step.clone(),
                name: started,
            },
        );
        let origin = Origin::Made;
        match number {
            0..250 => take(
                1,
                Event::Finished {
                    step,
                    name: finished,
                    origin,
                },
            ),
            250 => take(
                1,
                Event::Failed {
                    step,
                    name: finished,
                    error: String::new(),
                },
            ),
            _ => {}
        }
    }
    for shape in [USUAL, WIDE, SMALL, (1, 1), (10, 2), (500, 400)] {
        let lines = frame(&picture, size(shape), Duration::from_secs(2));
        assert!(lines.len() <= usize::from(shape.1).max(2), "{shape:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.text.width() <= usize::from(shape.0)),
            "{shape:?}"
        );
    }
    let small = frame(&picture, size(SMALL), Duration::from_secs(2));
    insta::assert_snapshot!("many_40x10", text(&small, size(SMALL)));
    let wide = frame(&picture, size((80, 60)), Duration::from_secs(2));
    insta::assert_snapshot!("many_80x60", text(&wide[..5], size(USUAL)));
    assert_eq!(
        wide.iter()
            .filter(|line| line.paint == Paint::Error)
            .count(),
        1
    );
}

#[test]
fn what_runs_when_the_build_is_over_was_cancelled() {
    let (picture, now) = picture_at(9.0);
    let lines = summary(&picture, size(USUAL), now);
    let canceled = lines.iter().filter(|line| line.paint == Paint::Cancel);
    let names: Vec<_> = canceled
        .map(|line| line.text.get(..34).unwrap_or_default())
        .collect();
    assert_eq!(
        names,
        [
            " => CANCELED [linux/amd64 build 2/",
            " => CANCELED [linux/amd64->arm64 b",
        ]
    );
    assert!(!lines[0].text.contains("FINISHED"), "{:?}", lines[0]);
}

#[test]
fn lines_are_shared_out_one_at_a_time() {
    for (left, wanted, expected) in [
        (5, vec![6, 1, 0], vec![4, 1, 0]),
        (0, vec![3], vec![0]),
        (100, vec![3, 4], vec![3, 4]),
        (3, vec![9, 9], vec![2, 1]),
    ] {
        assert_eq!(shared(left, &wanted), expected);
    }
}

#[test]
fn a_terminal_without_utf8_gets_ascii() {
    let screen_of = crate::env::Screen::default();
    let (look, _) = Look::of(&crate::env::Screen {
        no_color: true,
        ..screen_of
    });
    let line = Line {
        text: " => naïve …".to_owned(),
        paint: Paint::Run,
    };
    assert_eq!(painted(&line, &look), " => na?ve ~");
}
