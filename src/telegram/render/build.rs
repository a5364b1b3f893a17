//! Markdown to a draft: what each element looks like in a chat.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{
    Draft,
    enclose::Notes,
    link::linkable,
    references,
    table::{self, Table},
    writer::Writer,
};
use crate::core::text::Look;

/// A horizontal rule.
const RULE: &str = "————————";
/// What stands before an item of a list without numbers.
const BULLET: &str = "• ";
/// What stands before a task that is done, and one that is not.
const TASK: [&str; 2] = ["☑ ", "☐ "];
/// Stands in for an empty cell of a table.
const NOTHING: &str = "–";
/// Stands in for a picture without a description.
const PICTURE: &str = "image";

/// Extensions of Markdown that are read.
pub(super) fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Renders the whole text.
pub(super) fn build(markdown: &str) -> Draft {
    build_noted(markdown, &Notes::new())
}

/// A code block alone, below this line.
pub(super) fn code(line: &str, code: &str, language: Option<String>) -> Draft {
    let mut writer = Writer::default();
    writer.put(line);
    writer.put_pre(code.trim_end_matches('\n'), language);
    writer.finish()
}

/// Renders the whole text, with these notes in place of code blocks.
pub(super) fn build_noted(markdown: &str, notes: &Notes) -> Draft {
    let options = options();
    let markdown = references::reveal(markdown, options);
    let mut builder = Builder {
        notes: notes.clone(),
        ..Builder::default()
    };
    for event in Parser::new_ext(&markdown, options) {
        builder.event(event);
    }
    builder.writer.finish()
}

/// Deepest nesting of quotes and lists that is read as such.
const DEEPEST: usize = 500;

/// Whether reading this as Markdown could take far more than linear time: the parser looks at every open quote and
/// list again for each line, so that thousands of them, open over thousands of lines, cost minutes. Counts how deep
/// the beginning of each line could reach. No answer that is meant to be read looks so.
pub(super) fn is_hostile(markdown: &str) -> bool {
    markdown.split('\n').any(|line| {
        let mut columns = 0;
        let mut markers = 0;
        let mut rest = line.as_bytes();
        loop {
            rest = match rest {
                [b' ', after @ ..] => {
                    columns += 1;
                    after
                }
                [b'\t', after @ ..] => {
                    columns += 4;
                    after
                }
                [b'>', after @ ..] => {
                    markers += 1;
                    after
                }
                [b'-' | b'+' | b'*', after @ ..] if matches!(after, [] | [b' ' | b'\t', ..]) => {
                    markers += 1;
                    after
                }
                _ => {
                    let digits = rest
                        .iter()
                        .take(10)
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                    match rest.get(digits) {
                        Some(b'.' | b')') if (1..10).contains(&digits) => {
                            markers += 1;
                            &rest[digits + 1..]
                        }
                        _ => break,
                    }
                }
            };
        }
        markers + columns / 2 > DEEPEST
    })
}

#[derive(Default)]
struct Builder<'a> {
    writer: Writer,
    lists: Vec<List>,
    /// Open quotes; only the outermost is one for Telegram.
    quotes: usize,
    /// Margin outside the outermost quote.
    outside: Option<(String, Vec<usize>)>,
    /// Open links and pictures.
    links: Vec<Link>,
    /// Code block that is being read: its text and language.
    code: Option<(String, Option<String>)>,
    /// Code blocks so far, and what stands in place of some of them.
    codes: usize,
    notes: Notes,
    /// Table that is being read.
    table: Option<Table<'a>>,
}

/// A list that is open.
struct List {
    /// Number of its next item.
    number: Option<u64>,
    /// Whether an item was before.
    begun: bool,
    /// Blocks of the present item that want air around them.
    blocks: usize,
    /// Where the present item begins, behind its marker.
    content: usize,
}

/// A link or picture that is open.
struct Link {
    /// As written.
    address: String,
    /// Whether the address stands behind the text.
    behind: bool,
    /// Where its text begins.
    start: usize,
    /// What it shows when it has no text.
    empty: &'static str,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>) {
        if let Some(table) = &mut self.table {
            match event {
                Event::End(TagEnd::Table) => self.end_table(),
                Event::Start(Tag::TableHead | Tag::TableRow) => table.rows.push(Vec::new()),
                Event::End(TagEnd::TableHead | TagEnd::TableRow | TagEnd::TableCell) => {}
                Event::Start(Tag::TableCell) => {
                    if let Some(row) = table.rows.last_mut() {
                        row.push(Vec::new());
                    }
                }
                event => {
                    if let Some(cell) = table.rows.last_mut().and_then(|row| row.last_mut()) {
                        cell.push(event);
                    }
                }
            }
            return;
        }
        if let Some((code, _)) = &mut self.code
            && let Event::Text(text) = &event
        {
            code.push_str(text);
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.writer.put(&text);
            }
            Event::Code(code) => self.writer.put_code(&code),
            Event::SoftBreak | Event::HardBreak => self.writer.put("\n"),
            Event::Rule => {
                self.writer.space(1);
                self.writer.put(RULE);
                self.end_block(2);
            }
            Event::TaskListMarker(done) => {
                self.writer.take_back(BULLET);
                self.writer.put(TASK[usize::from(!done)]);
            }
            // Extensions that are not on.
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.writer.put(&text);
            }
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        match tag {
            Tag::Heading { .. } => {
                self.start_line();
                self.writer.enter(Look::Bold);
            }
            Tag::Paragraph => self.start_line(),
            Tag::BlockQuote(_) => {
                self.quotes += 1;
                self.writer.space(1);
                if self.quotes == 1 {
                    self.outside = Some(self.writer.take_margin());
                    self.writer.enter(Look::Quote);
                } else {
                    self.writer.enter_plain();
                    self.writer.indent("> ");
                }
            }
            Tag::CodeBlock(kind) => {
                let language = match &kind {
                    CodeBlockKind::Fenced(info) => language(info),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((String::new(), language));
            }
            Tag::HtmlBlock => self.writer.space(1),
            Tag::List(number) => {
                if self.lists.is_empty() {
                    self.writer.space(1);
                }
                self.lists.push(List {
                    number,
                    begun: false,
                    blocks: 0,
                    content: 0,
                });
            }
            Tag::Item => self.start_item(),
            Tag::Emphasis => self.writer.enter(Look::Italic),
            Tag::Strong => self.writer.enter(Look::Bold),
            Tag::Strikethrough => self.writer.enter(Look::Strikethrough),
            Tag::Link { dest_url, .. } => self.start_link(dest_url.into_string(), ""),
            Tag::Image { dest_url, .. } => self.start_link(dest_url.into_string(), PICTURE),
            Tag::Table(alignments) => {
                self.table = Some(Table {
                    alignments,
                    rows: Vec::new(),
                });
            }
            // Of extensions that are not on.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.end_block(2),
            TagEnd::Heading(_) => {
                self.writer.leave();
                self.end_block(1);
            }
            TagEnd::BlockQuote(_) => {
                self.writer.leave();
                self.quotes -= 1;
                if self.quotes > 0 {
                    self.writer.outdent();
                } else if let Some(margin) = self.outside.take() {
                    self.writer.restore_margin(margin);
                }
                self.end_block(2);
            }
            TagEnd::CodeBlock => {
                if let Some((code, language)) = self.code.take() {
                    match self.notes.remove(&self.codes) {
                        Some(note) => {
                            self.start_line();
                            self.writer.put(&note);
                        }
                        None => self.writer.put_pre(code.trim_end_matches('\n'), language),
                    }
                    self.codes += 1;
                    self.end_block(2);
                }
            }
            TagEnd::HtmlBlock => self.end_block(2),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.writer.space(2);
                }
            }
            TagEnd::Item => self.writer.outdent(),
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.writer.leave(),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn end_block(&mut self, newlines: usize) {
        self.writer.space(newlines);
        if let Some(list) = self.lists.last_mut() {
            list.blocks += 1;
        }
    }

    /// Items follow one another line by line, whether the source has blank lines between them or not (while a text
    /// streams in, that would change the look of the whole list); only after an item of several blocks comes a
    /// blank line.
    fn start_item(&mut self) {
        let inner = self.lists.len() > 1;
        let Some(list) = self.lists.last_mut() else {
            return;
        };
        if list.begun {
            self.writer.exact_space(if list.blocks > 1 { 2 } else { 1 });
        } else if inner {
            self.writer.exact_space(1);
        }
        list.begun = true;
        list.blocks = 0;
        match &mut list.number {
            Some(number) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                self.writer.put(&marker);
            }
            None => self.writer.put(BULLET),
        }
        list.content = self.writer.position();
        self.writer.indent("  ");
    }

    /// A block of text begins on a line of its own, but the first one of an item beside the marker.
    fn start_line(&mut self) {
        if self
            .lists
            .last()
            .is_none_or(|list| list.content != self.writer.position())
        {
            self.writer.space(1);
        }
    }

    fn start_link(&mut self, address: String, empty: &'static str) {
        // A picture in a link leads where the link leads.
        let behind = self.links.is_empty().then(|| linkable(&address)).flatten();
        let link = Link {
            address,
            behind: behind.is_some() || !self.links.is_empty(),
            start: self.writer.position(),
            empty,
        };
        self.links.push(link);
        match behind {
            Some(address) => self.writer.enter(Look::Link(address)),
            None => self.writer.enter_plain(),
        }
    }

    fn end_link(&mut self) {
        let Some(link) = self.links.pop() else { return };
        let shown = self.writer.since(link.start).trim();
        if shown.is_empty() {
            let text = if link.empty.is_empty() {
                &link.address
            } else {
                link.empty
            };
            self.writer.put(text);
        }
        let told = link.behind || {
            let shown = self.writer.since(link.start).trim();
            shown == link.address || Some(shown) == link.address.strip_prefix("mailto:")
        };
        if !told && !link.address.is_empty() {
            self.writer.put(&format!(
                " ({})",
                link.address.trim_start_matches("mailto:")
            ));
        }
        self.writer.leave();
    }

    fn end_table(&mut self) {
        let Some(table) = self.table.take() else {
            return;
        };
        match table.columns() {
            Some(lines) => self.writer.put_pre(&lines, None),
            None => self.records(table),
        }
        self.end_block(2);
    }

    /// A table as one record per row: a line `head: value` for each cell, the first one bold.
    fn records(&mut self, table: Table<'a>) {
        let mut rows = table.rows.into_iter();
        let heads = rows.next().unwrap_or_default();
        let names: Vec<String> = heads.iter().map(|head| table::plain(head)).collect();
        if rows.len() == 0 {
            self.writer.space(1);
            self.writer.put(&names.join(" | "));
        }
        for row in rows {
            self.writer.space(2);
            for (column, cell) in row.into_iter().enumerate() {
                self.writer.space(1);
                if column == 0 {
                    self.writer.enter(Look::Bold);
                } else {
                    self.writer.enter_plain();
                }
                match names.get(column) {
                    Some(name) if !name.is_empty() => self.writer.put(&format!("{name}: ")),
                    _ => {}
                }
                if cell.is_empty() {
                    self.writer.put(NOTHING);
                }
                for event in cell {
                    self.event(event);
                }
                self.writer.leave();
            }
        }
    }
}

/// The language of a code block: the first word of what follows the fence, if it looks like the name of one.
pub(super) fn language(info: &str) -> Option<String> {
    let word = info
        .split([' ', '\t', ',', '{'])
        .find(|word| !word.is_empty())?;
    let fit = |c: char| c.is_ascii_alphanumeric() || "+#-_.".contains(c);
    (word.len() <= 32 && word.chars().all(fit)).then(|| word.to_owned())
}
