//! What happens to files that people write: typos, lost braces, pasted prompts, features of the language
//! in places where nobody expects them.

use proptest::{
    prelude::Strategy,
    sample::{Index, select},
};

/// A change of the lines of a file, at a place that is chosen apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    /// A whole line more, before the place.
    Line(&'static str),
    /// Something at the end of the line.
    After(&'static str),
    /// Something at its beginning.
    Before(&'static str),
    /// The line is lost.
    Lost,
    /// It is there twice.
    Twice,
    /// It goes to another place: the first line that comes after it, three lines further.
    Moved,
    /// The first letter after the second of its keyword is lost: `inteval`, `inerface`.
    Letter,
    /// The last word is in quotes.
    Quoted,
    /// The value comes from a definition before.
    Defined,
    /// The keyword and its value come from a definition.
    DefinedLine,
    /// The next line is in this line.
    Joined,
    /// Its first opening or closing brace is lost.
    Brace,
}

const DAMAGES: [Damage; 49] = [
    Damage::After(" # a comment"),
    Damage::After(" ! a comment { with } braces"),
    Damage::After("#glued"),
    Damage::After(" ;"),
    Damage::After(";"),
    Damage::After(" more"),
    Damage::After(" \"\""),
    Damage::After(" \""),
    Damage::After(" '"),
    Damage::After("\t "),
    Damage::After("\\"),
    Damage::After(" \\"),
    Damage::After("\\\""),
    Damage::After("\u{a0}"),
    Damage::After(" \u{200b}"),
    Damage::After(" {"),
    Damage::After(" }"),
    Damage::After(" ${UNKNOWN}"),
    Damage::Before("@other "),
    Damage::Before("@^other "),
    Damage::Before("@this "),
    Damage::Before("~SEQ(i, 1, 2) "),
    Damage::Before("~LST(i, a) "),
    Damage::Before(";"),
    Damage::Before("\u{a0}"),
    Damage::Before("# "),
    Damage::Line(""),
    Damage::Line(";"),
    Damage::Line("}"),
    Damage::Line("{"),
    Damage::Line("root@lb1:~ cat /etc/keepalived/keepalived.conf"),
    Damage::Line("$ cat keepalived.conf"),
    Damage::Line("inteval 2"),
    Damage::Line("priority 102"),
    Damage::Line("interface eth1"),
    Damage::Line("vrrp_version 3"),
    Damage::Line("include statement.conf"),
    Damage::Line("include global.conf"),
    Damage::Line("include missing.conf"),
    Damage::Line("$UNUSED= \\\nvrrp_instance VI_9 { \\\n}"),
    Damage::Lost,
    Damage::Twice,
    Damage::Moved,
    Damage::Letter,
    Damage::Quoted,
    Damage::Defined,
    Damage::DefinedLine,
    Damage::Joined,
    Damage::Brace,
];

/// Any of them.
pub(super) fn any() -> impl Strategy<Value = Damage> {
    select(&DAMAGES[..])
}

impl Damage {
    pub(super) fn apply(self, lines: &mut Vec<String>, place: Index) {
        if lines.is_empty() {
            return;
        }
        let at = place.index(lines.len());
        let Some(line) = lines.get_mut(at) else { return };
        match self {
            Self::Line(new) => lines.insert(at, new.to_owned()),
            Self::After(text) => line.push_str(text),
            Self::Before(text) => line.insert_str(0, text),
            Self::Lost => drop(lines.remove(at)),
            Self::Twice => {
                let again = line.clone();
                lines.insert(at, again);
            }
            Self::Moved => {
                let moved = lines.remove(at);
                lines.insert((at + 3).min(lines.len()), moved);
            }
            Self::Letter => {
                let indent = line.len() - line.trim_start().len();
                if line.len() > indent + 3 {
                    line.remove(indent + 2);
                }
            }
            Self::Quoted => {
                if let Some((start, word)) = last_word(line) {
                    line.replace_range(start.., &format!("\"{word}\""));
                }
            }
            Self::Defined => {
                if let Some((start, word)) = last_word(line) {
                    line.replace_range(start.., "$VALUE");
                    lines.insert(0, format!("$VALUE={word}"));
                }
            }
            Self::DefinedLine => {
                let defined = format!("$LINE={}", line.trim_start());
                "$LINE".clone_into(line);
                lines.insert(0, defined);
            }
            Self::Joined => {
                if at + 1 < lines.len() {
                    let next = lines.remove(at + 1);
                    if let Some(line) = lines.get_mut(at) {
                        line.push(' ');
                        line.push_str(next.trim_start());
                    }
                }
            }
            Self::Brace => {
                if let Some(brace) = line.find(['{', '}']) {
                    line.remove(brace);
                }
            }
        }
    }
}

/// Where it begins and what it is, if it is neither a brace nor in quotes.
fn last_word(line: &str) -> Option<(usize, String)> {
    let word = line.split_whitespace().next_back()?;
    if word.contains(['{', '}', '"', '\'']) {
        return None;
    }
    Some((line.trim_end().len() - word.len(), word.to_owned()))
}
