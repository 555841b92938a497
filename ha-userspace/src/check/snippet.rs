//! Diagnostics as a person reads them: the line of the file, and carets under the place.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use ha_config::{Diagnostic, Severity};

/// Columns of a page: longer lines are cut around the place. Terminals differ, and logs have none.
const WIDTH: usize = 100;

/// All of `diagnostics`, an empty line after each.
pub(super) fn render(diagnostics: &[Diagnostic], colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(WIDTH);
    diagnostics.iter().map(|found| renderer.render(&[report(found)]) + "\n\n").collect()
}

fn report(found: &Diagnostic) -> Group<'_> {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // The column that is shown is counted in the source, so what is left out needs its room.
    let left_out = to_usize(found.skipped);
    let source = format!("{}{}", " ".repeat(left_out), found.excerpt);
    let marked = found.marked();
    let offset = |character| {
        let mut offsets = source.char_indices().map(|(offset, _)| offset).skip(left_out);
        offsets.nth(character).unwrap_or(source.len())
    };
    let place = AnnotationKind::Primary.span(offset(marked.start)..offset(marked.end));
    let file: String = found.file.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let line = to_usize(found.line);
    let snippet = Snippet::source(source).path(file).line_start(line).annotation(place);
    let shown = level.primary_title(&*found.message).element(snippet);
    match &found.help {
        Some(help) => shown.element(Level::HELP.message(&**help)),
        None => shown,
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the last complaint about `text` is shown.
    fn last(text: &str) -> String {
        let found = ha_config::parse("f", text).diagnostics;
        render(&found[found.len() - 1..], false)
    }

    #[test]
    fn carets_are_under_the_place() {
        let expected = "\
error: unknown keyword `priörity` in `vrrp_instance`
 --> f:2:2
  |
2 |  priörity 300
  |  ^^^^^^^^
  |
  = help: did you mean `priority`?

";
        assert_eq!(last("vrrp_instance A {\n\tpriörity 300\r\n}\r\n"), expected);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let expected = "\
error: unknown keyword `京` in the top level
 --> f:1:9
  |
1 | 東 { \u{fffd} } 京
  |          ^^

";
        assert_eq!(last("東 { \u{fffd} } 京"), expected);
    }

    #[test]
    fn no_file_can_steer_a_terminal() {
        let found = ha_config::parse("f\u{1b}[2J", "\u{1b}[31m { } \u{9b}1m\u{202e}x\0y\rz");
        let shown = render(&found.diagnostics, false);
        let is_harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(shown.chars().all(is_harmless), "{shown:?}");
        assert!(shown.contains("f?[2J:1:1"), "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}here {}", "x { } ".repeat(300), "{ } y".repeat(300));
        let found = ha_config::parse("f", &text).diagnostics;
        let here = found.iter().find(|one| one.message.contains("`here`")).unwrap();
        let shown = render(core::slice::from_ref(here), false);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], " --> f:1:1801");
        let from = lines[3].find("here").unwrap();
        assert_eq!(lines[4].find("^^^^"), Some(from), "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH + 10), "{shown}");
    }

    #[test]
    fn colours_change_nothing_else() {
        let found = ha_config::parse("f", "vrrp_instance A {\n inteval 3\n}\n").diagnostics;
        let (plain, styled) = (render(&found, false), render(&found, true));
        let mut parts = styled.split("\u{1b}[");
        let first = parts.next().unwrap().to_owned();
        let unstyled: String = parts.filter_map(|part| Some(part.split_once('m')?.1)).collect();
        assert_ne!(plain, styled);
        assert_eq!(first + &unstyled, plain);
    }

    /// Every character's place in odd lines, and places that no file has.
    #[test]
    fn no_place_panics() {
        let lines = ["", "a", "\u{301}\u{200d}", "東京\u{fffd}", "\t\u{7f}x", "👩‍👩‍👧 é"];
        for excerpt in lines {
            for (column, width, skipped) in
                (0..9).flat_map(|column| (0..4).map(move |n| (column, n, n * column)))
            {
                let found = Diagnostic {
                    severity: Severity::Error,
                    file: "f".into(),
                    line: column,
                    column,
                    width,
                    excerpt: excerpt.to_owned(),
                    skipped,
                    message: excerpt.to_owned(),
                    help: Some(excerpt.to_owned()),
                };
                assert!(!render(&[found], true).is_empty());
            }
        }
    }
}
