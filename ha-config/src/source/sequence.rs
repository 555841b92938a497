//! `~SEQ(var, start, step, end)` and `~LST(var, value, ..)`: what a line is repeated with.

use core::ops::Range;

use crate::white::{is_white, trim, trim_start};

/// The names and, for each time that the line is read, their values.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Sequence {
    Numbers { name: String, first: i64, step: i64, last: i64, is_hex: bool },
    Values { names: Vec<String>, tuples: Vec<Vec<String>> },
}

impl Sequence {
    /// The names with their values, time by time.
    pub(super) fn rounds(&self) -> impl Iterator<Item = Vec<(&str, String)>> {
        let mut index: usize = 0;
        core::iter::from_fn(move || {
            let round = self.round(index);
            index = index.saturating_add(1);
            round
        })
    }

    fn round(&self, index: usize) -> Option<Vec<(&str, String)>> {
        match self {
            Self::Numbers { name, first, step, last, is_hex } => {
                let value = first.checked_add(i64::try_from(index).ok()?.checked_mul(*step)?)?;
                let is_over = if *step > 0 { value > *last } else { value < *last };
                let text = if *is_hex { format!("{value:x}") } else { value.to_string() };
                (!is_over).then(|| vec![(name.as_str(), text)])
            }
            Self::Values { names, tuples } => {
                let tuple = tuples.get(index)?;
                let value = |at: usize| tuple.get(at).cloned().unwrap_or_default();
                Some(
                    names.iter().enumerate().map(|(at, name)| (name.as_str(), value(at))).collect(),
                )
            }
        }
    }
}

/// `~SEQ(..)` at the beginning of a line.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Head {
    kind: Kind,
    /// Between the parentheses.
    pub(super) arguments: Range<usize>,
    /// Where the line goes on.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Decimal,
    Hex,
    List,
}

/// A sequence without its parentheses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unfinished;

/// The sequence that `line` begins with, if it does.
pub(super) fn head(line: &str) -> Option<Result<Head, Unfinished>> {
    let kinds = [("~SEQx", Kind::Hex), ("~SEQ", Kind::Decimal), ("~LST", Kind::List)];
    let (name, kind) = kinds.into_iter().find(|(name, _)| line.starts_with(name))?;
    let after = line.get(name.len()..)?;
    let open = trim_start(after);
    if !open.starts_with('(') {
        // `~SEQUEL` is a word; `~SEQ` alone is a mistake.
        return (open.len() < after.len() || after.is_empty()).then_some(Err(Unfinished));
    }
    let start = line.len().saturating_sub(open.len()).saturating_add(1);
    let Some(length) = line.get(start..).and_then(|rest| rest.find(')')) else {
        return Some(Err(Unfinished));
    };
    let end = start.saturating_add(length);
    Some(Ok(Head { kind, arguments: start..end, end: end.saturating_add(1) }))
}

impl Head {
    /// `arguments`: after substitution.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(&self, arguments: &str) -> Result<Sequence, &'static str> {
        match self.kind {
            Kind::Decimal => numbers(arguments, false),
            Kind::Hex => numbers(arguments, true),
            Kind::List => values(arguments),
        }
    }
}

fn numbers(arguments: &str, is_hex: bool) -> Result<Sequence, &'static str> {
    const FORM: &str =
        "it has the form `~SEQ(name, start, step, end)`; start and step may be left out";
    let words: Vec<&str> = arguments.split(',').map(trim).collect();
    let (name, start, step, end) = match *words.as_slice() {
        [name, end] => (name, "", "", end),
        [name, start, end] => (name, start, "", end),
        [name, start, step, end] => (name, start, step, end),
        _ => return Err(FORM),
    };
    // An end left out is 0, as in keepalived 2.2.7.
    let last = if end.is_empty() { 0 } else { number(end).ok_or(FORM)? };
    let first = match (start, words.len()) {
        // keepalived: a start that is not there counts from 1; an empty one from 0.
        ("", 2) => {
            if last < 0 {
                -1
            } else {
                1
            }
        }
        ("", _) => 0,
        (start, _) => number(start).ok_or(FORM)?,
    };
    let step = match (step, words.len()) {
        ("", 4) => return Err("the step is empty"),
        ("", _) => {
            if last < first {
                -1
            } else {
                1
            }
        }
        (step, _) => number(step).ok_or(FORM)?,
    };
    if step == 0 || (last > first && step < 0) || (last < first && step > 0) {
        return Err("it never comes from its start to its end");
    }
    if is_hex && (first < 0 || last < 0) {
        return Err("`~SEQx` has no negative numbers");
    }
    Ok(Sequence::Numbers { name: variable(name)?, first, step, last, is_hex })
}

/// As C reads it: `0x` begins a hexadecimal number, `0` an octal one. Beyond 32 bits there is none.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        (None, _) => (lower.as_str(), 10),
    };
    // `from_str_radix` takes a sign of its own.
    let is_digits = digits.chars().all(|c| c.is_ascii_hexdigit());
    let value = u32::from_str_radix(digits, radix).ok().filter(|_| is_digits)?;
    let value = i64::from(value);
    Some(if negative { -value } else { value })
}

fn values(arguments: &str) -> Result<Sequence, &'static str> {
    const FORM: &str =
        "it has the form `~LST(name, value, ..)` or `~LST({name, ..}, {value, ..}, ..)`";
    let mut items = split_items(arguments).ok_or(FORM)?.into_iter();
    let names = items.next().ok_or(FORM)?;
    let names: Result<Vec<String>, _> = names.into_iter().map(variable).collect();
    let names = names?;
    let tuples: Vec<Vec<String>> =
        items.map(|tuple| tuple.into_iter().map(str::to_owned).collect()).collect();
    if tuples.is_empty() {
        return Err("a list needs a value at least");
    }
    if tuples.iter().any(|tuple| tuple.len() > names.len()) {
        return Err("it has more values than names");
    }
    let has_space = |value: &String| value.contains(is_white);
    if tuples.iter().any(|tuple| tuple.iter().any(has_space)) {
        return Err("its values are single words, without quotes");
    }
    Ok(Sequence::Values { names, tuples })
}

/// `a, {b, c}` is two items, of one word and of two.
fn split_items(arguments: &str) -> Option<Vec<Vec<&str>>> {
    let mut items = Vec::new();
    let mut rest = arguments;
    loop {
        let item = trim_start(rest);
        let (words, after) = if let Some(inside) = item.strip_prefix('{') {
            let (inside, after) = inside.split_once('}')?;
            (inside.split(',').map(trim).collect(), trim_start(after))
        } else {
            let (word, after) = item.split_at(item.find(',').unwrap_or(item.len()));
            (vec![trim(word)], after)
        };
        items.push(words);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(items),
            None => return None,
        }
    }
}

fn variable(name: &str) -> Result<String, &'static str> {
    if super::text::is_name(name) && !name.is_empty() {
        Ok(name.to_owned())
    } else {
        Err("its variable is no name: letters, digits and `_`, and no digit first")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of each time, joined; or the error.
    fn check(line: &str, expected: &[&str]) {
        let head = head(line).unwrap().unwrap();
        let found = match head.read(&line[head.arguments.clone()]) {
            Ok(sequence) => sequence
                .rounds()
                .map(|round| {
                    let values: Vec<String> = round.into_iter().map(|(_, value)| value).collect();
                    values.join("-")
                })
                .collect(),
            Err(error) => vec![error.to_owned()],
        };
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn numbers_are_those_of_keepalived() {
        // Each line was given to keepalived 2.2.7 in a `notification_email` block; the expected
        // values are those of `keepalived -d`.
        check("~SEQ(i,1,3)", &["1", "2", "3"]);
        check("~SEQ(j, 3, 1)", &["3", "2", "1"]);
        check("~SEQ( k ,3)", &["1", "2", "3"]);
        check("~SEQ(l,-3)", &["-1", "-2", "-3"]);
        check("~SEQ(m,1,2,6)", &["1", "3", "5"]);
        check("~SEQ(n,6,-2,1)", &["6", "4", "2"]);
        check("~SEQx(o,8,1,0x0b)", &["8", "9", "a", "b"]);
        check("~SEQ(i,010,012)", &["8", "9", "10"]);
        check("~SEQ(k,5,5)", &["5"]);
        check("~SEQ(l,0)", &["1", "0"]);
        check("~SEQ(m,0,0)", &["0"]);
        check("~SEQ(n,3,)", &["3", "2", "1", "0"]);
        check("~SEQ(o,,3)", &["0", "1", "2", "3"]);
        check("~SEQ (k,1,2)", &["1", "2"]);
    }

    #[test]
    fn wrong_numbers_are_those_of_keepalived() {
        let never = "it never comes from its start to its end";
        check("~SEQ(i,1,0,3)", &[never]);
        check("~SEQ(i,1,-1,3)", &[never]);
        check("~SEQx(j,-1,1)", &["`~SEQx` has no negative numbers"]);
        check("~SEQ(p,1,,3)", &["the step is empty"]);
        for line in ["~SEQ(i,1,x)", "~SEQ(j)", "~SEQ()", "~SEQ(n,1,2,3,4)", "~SEQ(n,1,--2)"] {
            let head = head(line).unwrap().unwrap();
            assert!(head.read(&line[head.arguments.clone()]).is_err(), "{line}");
        }
        assert_eq!(head("~SEQ d"), Some(Err(Unfinished)));
        assert_eq!(head("~SEQ(i,1,2 x"), Some(Err(Unfinished)));
        assert_eq!(head("~FOO(x)"), None);
    }

    #[test]
    fn lists_are_those_of_keepalived() {
        // As above.
        check("~LST(i,1,2,3)", &["1", "2", "3"]);
        check("~LST({ m , n } , { 1 , 2 } , { 3 , 4 } )", &["1-2", "3-4"]);
        check("~LST(s,,t)", &["", "t"]);
        check("~LST(p,{1},{2})", &["1", "2"]);
        check("~LST({p,q},{1},{2,3})", &["1-", "2-3"]);
        check("~LST(o)", &["a list needs a value at least"]);
        check("~LST({p,q},{1},{2,3,4})", &["it has more values than names"]);
        check("~LST(j, x y , z)", &["its values are single words, without quotes"]);
        check("~LST(r,\"a,b\",c)", &["\"a", "b\"", "c"]);
    }
}
