//! Words to nested blocks, in such a way that no wrong brace takes the rest of the file with it.
//!
//! A statement is a line, as in keepalived: a second keyword in the same line is a value of the
//! first. Which words begin a block comes from the keyword table; their values are not looked at.

use crate::{
    diagnostic::Span,
    keywords::{self, Block},
    lexer::{Kind, Token},
    sink::Sink,
};

/// A word of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A line, with the block that it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Statement {
    pub(crate) head: Word,
    /// The words after the first.
    pub(crate) values: Vec<Word>,
    pub(crate) body: Option<Vec<Statement>>,
    /// From the first word to the last, or to the closing brace.
    pub(crate) span: Span,
}

impl Statement {
    pub(crate) fn value(&self, index: usize) -> Option<&Word> {
        self.values.get(index)
    }

    /// The statements of its block.
    pub(crate) fn body(&self) -> &[Statement] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Its words, without the block.
    pub(crate) fn line_span(&self) -> Span {
        self.values.last().map_or(self.head.span, |last| self.head.span.to(last.span))
    }
}

/// The top level of everything that was read.
pub(crate) fn parse(tokens: Vec<Token>, sink: &mut Sink) -> Vec<Statement> {
    let mut parser = Parser {
        sink,
        top: Vec::new(),
        frames: Vec::new(),
        pending: None,
        last_close: None,
        too_deep: 0,
        foresight: FORESIGHT,
    };
    let mut tokens = tokens.into_iter();
    let mut row_before = 0;
    while let Some(Token { kind, span, row }) = tokens.next() {
        match kind {
            Kind::Word(text) => {
                let word = Word { text: text.into(), span };
                if row != row_before {
                    parser.flush(Next::Word);
                    parser.resynchronise(&word, row, tokens.as_slice());
                }
                parser.word(word);
            }
            Kind::Open => parser.open(span),
            Kind::Close => parser.close(span),
        }
        row_before = row;
    }
    parser.finish()
}

/// Blocks in blocks in real files: three. The limit keeps recursion over the tree harmless.
const DEPTH_MAX: usize = 16;

/// So many words are looked at in advance, in all of the files.
const FORESIGHT: usize = 4 << 20;

/// What ends a statement that has no brace of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Another line.
    Word,
    /// The end of its block or of the file.
    End,
}

/// A block that is not closed yet.
struct Frame {
    kind: Block,
    /// `None` for a brace out of nowhere.
    statement: Option<Statement>,
    items: Vec<Statement>,
    /// Head of the block, or the brace.
    span: Span,
    /// The first block in it that seems to have taken its closing brace: name, head and that brace.
    suspect: Option<(String, Span, Span)>,
}

struct Parser<'a> {
    sink: &'a mut Sink,
    top: Vec<Statement>,
    frames: Vec<Frame>,
    /// The statement that may still get words or a block.
    pending: Option<Statement>,
    /// The closing brace of the last block of the top level.
    last_close: Option<Span>,
    /// Braces open beyond [`DEPTH_MAX`].
    too_deep: usize,
    /// What is left of [`FORESIGHT`].
    foresight: usize,
}

impl Parser<'_> {
    fn word(&mut self, word: Word) {
        if self.too_deep > 0 {
            return;
        }
        if let Some(statement) = &mut self.pending {
            statement.span = statement.span.to(word.span);
            statement.values.push(word);
        } else {
            let span = word.span;
            self.pending = Some(Statement { head: word, values: Vec::new(), body: None, span });
        }
    }

    fn open(&mut self, span: Span) {
        if self.frames.len() >= DEPTH_MAX {
            if self.too_deep == 0 {
                self.sink.error(span, "too many blocks inside each other");
            }
            self.too_deep = self.too_deep.saturating_add(1);
            return;
        }
        if let Some(statement) = self.pending.take() {
            self.push_frame(statement);
        } else {
            self.sink.error_help(span, "a block without a name", "its contents are ignored");
            self.frames.push(Frame {
                kind: Block::Skipped,
                statement: None,
                items: Vec::new(),
                span,
                suspect: None,
            });
        }
    }

    fn push_frame(&mut self, statement: Statement) {
        let keyword = keywords::find(self.kind(), &statement.head.text);
        let kind = keyword.and_then(|keyword| keyword.body).unwrap_or(Block::Skipped);
        let span = statement.line_span();
        self.frames.push(Frame {
            kind,
            statement: Some(statement),
            items: Vec::new(),
            span,
            suspect: None,
        });
    }

    fn close(&mut self, span: Span) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        self.flush(Next::End);
        if self.frames.is_empty() {
            // The block before it is the suspect: its own brace may be the one too many, and then
            // what follows it was meant to be inside.
            let suspect = self.last_close.take().unwrap_or(span);
            let message = if suspect == span {
                "a `}` that closes nothing".to_owned()
            } else {
                format!(
                    "this `}}` ends the block, but another one follows in {}",
                    self.sink.place(span)
                )
            };
            self.sink.error_help(suspect, message, "remove one of the two, or add the missing `{`");
            return;
        }
        self.pop_frame(Some(span));
        if self.frames.is_empty() {
            self.last_close = Some(span);
        }
    }

    /// Ends the innermost block, at `close` or where its last item ends.
    fn pop_frame(&mut self, close: Option<Span>) {
        let Some(frame) = self.frames.pop() else { return };
        let Some(mut statement) = frame.statement else { return };
        if let (Some(close), Some(around)) = (close, self.frames.last_mut())
            && close.line != frame.span.line
            && close.file == frame.span.file
            && self.sink.indent(close) < self.sink.indent(frame.span)
        {
            let name = statement.head.text.clone();
            around.suspect.get_or_insert((name, frame.span, close));
        }
        let last = frame.items.last().map(|item| item.span);
        statement.span = statement.span.to(close.or(last).unwrap_or(statement.span));
        statement.body = Some(frame.items);
        self.push(statement);
    }

    /// Ends the pending statement; opens its block if only the brace is missing.
    fn flush(&mut self, next: Next) {
        let Some(statement) = self.pending.take() else { return };
        let expects_block = keywords::find(self.kind(), &statement.head.text)
            .is_some_and(|keyword| keyword.body.is_some());
        if expects_block && next == Next::Word && self.frames.len() < DEPTH_MAX {
            let message = format!("`{}` has no `{{`", statement.head.text);
            self.sink.error(statement.line_span(), message);
            self.push_frame(statement);
        } else {
            self.push(statement);
        }
    }

    /// Closes everything when `word` with `tail` begins a block of the top level, and a brace is missing:
    /// else it is in the wrong place.
    fn resynchronise(&mut self, word: &Word, row: u32, tail: &[Token]) {
        let Some(innermost) = self.frames.last() else { return };
        let (kind, began) = (innermost.kind, (innermost.span.file, innermost.span.line));
        if !keywords::begins_top_block(&word.text, kind) {
            self.resynchronise_inside(word, tail);
            return;
        }
        let same_line = |token: &&Token| matches!(token.kind, Kind::Word(_)) && token.row == row;
        let opens = tail.iter().find(|token| !same_line(token));
        if opens.is_none_or(|token| token.kind != Kind::Open) || !self.lacks_brace(tail) {
            return;
        }
        if began == (word.span.file, word.span.line) {
            self.close_all("a sequence repeats its own line only; repeat a `$NAME=` of several");
        } else {
            let place = self.sink.place(word.span);
            self.close_all(&format!("`{}` begins in {place}", word.text));
        }
    }

    /// Closes what cannot have `word` in it, if a block around it can and a brace is missing.
    fn resynchronise_inside(&mut self, word: &Word, tail: &[Token]) {
        let Some((innermost, around)) = self.frames.split_last() else { return };
        let parent = around.last().map_or(Block::Top, |frame| frame.kind);
        let list = innermost.statement.as_ref().filter(|_| innermost.kind == Block::List);
        let entry = list
            .and_then(|list| keywords::find(parent, &list.head.text))
            .and_then(|keyword| keyword.entry);
        let is_known = innermost.kind == Block::Skipped
            || entry.is_some_and(|entry| entry.option(&word.text).is_some())
            || keywords::find(innermost.kind, &word.text).is_some();
        let knows = |frame: &Frame| keywords::find(frame.kind, &word.text).is_some();
        let Some(home) = around.iter().rposition(knows).filter(|_| !is_known) else { return };
        if !self.lacks_brace(tail) {
            return;
        }
        let block = self.frames.get(home).map_or(Block::Top, |frame| frame.kind).name();
        let place = self.sink.place(word.span);
        self.close_down_to(
            home.saturating_add(1),
            &format!("`{}`, which belongs in {block}, is in {place}", word.text),
        );
    }

    /// Whether the blocks that are open are not all closed before the next one of the top level, which
    /// begins after some of `tail`.
    fn lacks_brace(&mut self, tail: &[Token]) -> bool {
        let mut depth = self.frames.len().saturating_add(self.too_deep);
        let mut row_before = tail.first().map_or(0, |first| first.row);
        // A name and the word that may begin its block.
        let mut begins = false;
        for token in tail {
            let Some(left) = self.foresight.checked_sub(1) else { return true };
            self.foresight = left;
            match &token.kind {
                Kind::Open if begins => return true,
                Kind::Open => depth = depth.saturating_add(1),
                Kind::Close if depth <= 1 => return false,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Word(word) if token.row != row_before => {
                    begins = keywords::begins_top_block(word, Block::Instance);
                }
                Kind::Word(_) => {}
            }
            row_before = token.row;
        }
        true
    }

    fn close_all(&mut self, before: &str) {
        self.close_down_to(0, before);
        self.last_close = None;
        self.too_deep = 0;
    }

    /// Closes what is open but for the outermost `depth` blocks.
    fn close_down_to(&mut self, depth: usize, before: &str) {
        let Some(innermost) = self.frames.last() else { return };
        if let Some((name, head, close)) = &innermost.suspect {
            let place = self.sink.place(*close);
            let help = format!(
                "a `}}` is missing: the one in {place} stands as if it ended the block around it"
            );
            self.sink.error_help(*head, format!("`{name}` is not closed"), help);
            while self.frames.len() > depth {
                self.pop_frame(None);
            }
            return;
        }
        let message = match &innermost.statement {
            Some(statement) => format!("`{}` is not closed", statement.head.text),
            None => "a block is not closed".to_owned(),
        };
        let help = format!("a `}}` is missing: {before}");
        self.sink.error_help(innermost.span, message, help);
        while self.frames.len() > depth {
            self.pop_frame(None);
        }
    }

    fn push(&mut self, item: Statement) {
        match self.frames.last_mut() {
            Some(frame) => frame.items.push(item),
            None => self.top.push(item),
        }
    }

    fn finish(mut self) -> Vec<Statement> {
        self.flush(Next::End);
        if !self.frames.is_empty() {
            self.close_all("the file ends");
        }
        self.top
    }

    fn kind(&self) -> Block {
        self.frames.last().map_or(Block::Top, |frame| frame.kind)
    }
}
