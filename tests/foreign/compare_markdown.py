"""Compares our rendering of Markdown with that of telegramify-markdown.

compare_markdown.py generate FOLDER             adds generated texts to a corpus
compare_markdown.py compare FOLDER OURS.json    exits 1 and prints the places where the two differ

Compared is the sequence of visible characters, each with its looks: white space and the offsets of spans are not, and so
it does not matter that one renderer puts one span around what the other covers with two.

Allowed differences, each undone in one place below:
 1. Signs of its own: headings, pictures, bullets and tasks carry other signs there (switched off or set to ours).
 2. Headings look different by level there, all are bold here: the other one is given them all at the top level, which
    is bold and underlined.
 3. Raw HTML tags are dropped there, shown here: the other one is given them escaped.
 4. Code within bold, italic or struck text stands inside of that look there. Telegram drops one of the two; here the
    look ends before the code. Code in a link loses the link there, the code here.
 5. Addresses that Telegram refuses as a link stand behind the text there, beside it here.
 6. The lines of a quote within a quote begin with a ">" here. (Telegram cannot nest quotes.)
 7. Tables that are wide or hold links are records here, and always columns there.
 8. Link definitions that nothing uses are dropped there, shown here: the other one is given them escaped.
 9. A picture without a description says "image" here.
10. A picture in a link leads to the picture and to the link's target there, only to the latter here.
11. Columns of a table are measured in other ways for characters that are wide: the line under the head is left out.
12. All that follows a code fence is the language there, only the first word here.
"""

import json
import pathlib
import random
import re
import sys
import unicodedata


def generate(folder):
    """Texts in which each block, and what may stand in it, comes in many surroundings. Always the same ones."""
    dice = random.Random(20_26)
    number = 0

    def word():
        nonlocal number
        number += 1
        return dice.choice(["w%d", "Wort%d", "ü%d", "字%d", "😀%d"]) % number

    def words(most=5):
        return " ".join(word() for _ in range(dice.randint(1, most)))

    def inline(depth=2):
        pieces = []
        for _ in range(dice.randint(1, 4)):
            kind = dice.randint(0, 8 if depth else 2)
            pieces.append(
                [
                    lambda: words(),
                    lambda: words(),
                    lambda: f"`{words(2)}`",
                    lambda: f"**{inline(depth - 1)}**",
                    lambda: f"*{inline(depth - 1)}*",
                    lambda: f"~~{words(3)}~~",
                    lambda: f"[{words(3)}](https://example.org/{number})",
                    lambda: f"{words(2)}  \n{words(2)}",
                    lambda: f"[{words(2)}](src/file{number}.rs)",
                ][kind]()
            )
        return " ".join(pieces)

    def flat(depth=1):
        return inline(depth).replace("  \n", " ")

    def block(depth=2):
        kind = dice.randint(0, 8 if depth else 3)
        if kind == 0:
            return "#" * dice.randint(1, 6) + " " + flat()
        if kind in (1, 2):
            return inline()
        if kind == 3:
            language = dice.choice(["", "rust", "c++", "python"])
            body = "\n".join("  " * dice.randint(0, 3) + words() for _ in range(dice.randint(1, 4)))
            return f"```{language}\n{body}\n```"
        if kind == 4:
            inner = block(0) + "\n\n" + block(0)
            return "\n".join("> " + line if line else ">" for line in inner.split("\n"))
        if kind == 5:
            return "\n".join(f"- {flat()}\n  - {flat()}" for _ in range(dice.randint(1, 3)))
        if kind == 6:
            return "\n".join(f"{n}. {flat()}" for n in range(3, 3 + dice.randint(1, 4)))
        if kind == 7:
            columns = dice.randint(2, 3)
            row = lambda: "| " + " | ".join(words(2) for _ in range(columns)) + " |"
            return "\n".join([row(), "|" + "---|" * columns] + [row() for _ in range(dice.randint(1, 3))])
        return "\n".join(f"- [{dice.choice('x ')}] {flat()}" for _ in range(2))

    for index in range(400):
        number = 0
        text = "\n\n".join(block() for _ in range(dice.randint(1, 8)))
        (folder / f"generated-{index:03}.md").write_text(text + "\n")


def told(source):
    """The source as the other renderer gets it."""
    source = re.sub(r"(?m)^((?:> ?)*)#{2,6} ", r"\1# ", source)  # 2
    source = source.replace("![](", "![image](")  # 9
    source = re.sub(r"\[!\[([^]]*)\]\([^)]*\)\]", r"[\1]", source)  # 10
    # The next two rules would reach into code; the texts of the corpus that need them have none.
    if "```" not in source:
        source = re.sub(r"<(?=[A-Za-z/!])(?!(?:https?:|mail@))", r"\\<", source)  # 3
        source = re.sub(r"(?m)^([-> ]*)\[(?=[A-Z]+\]: )", r"\1\\[", source)  # 8
    return source


def visible(char):
    return not char.isspace() and unicodedata.category(char) not in ("Cc", "Cf")


def characters(text, spans):
    """(character, looks) for each character; spans as (offset, length, look) in UTF-16 units."""
    marks = []
    unit = 0
    for char in text:
        looks = frozenset(look for offset, length, look in spans if offset <= unit < offset + length)
        marks.append((char, looks))
        unit += 1 if ord(char) < 0x10000 else 2
    return marks


def ours(parts):
    marks = []
    for part in parts:
        spans = []
        for span in part.get("spans", []):
            look = span["look"]
            if isinstance(look, str):
                look = (look, None) if look != "pre" else ("pre", None)
            else:
                [(kind, value)] = look.items()
                look = (kind, value.rstrip("/") if kind == "link" else value)
            spans.append((span["offset"], span["length"], look))
        found = characters(part["text"], spans)
        for line in re.finditer(r"(?m)^-+(\+-+)*$", part["text"]):  # 11
            for index in range(*line.span()):
                found[index] = (" ", frozenset())
        # 6: at the start of a line in a quote, and not in code
        for index, (char, looks) in enumerate(found):
            line = part["text"].rfind("\n", 0, index) + 1
            inner = char == ">" and not part["text"][line:index].strip(" >")
            if inner and looks == {("quote", None)}:
                continue
            marks.append((char, looks))
    return [mark for mark in marks if visible(mark[0])]


def theirs(text, entities):
    """A list of (characters with looks, table or None)."""
    kinds = {"blockquote": "quote", "expandable_blockquote": "quote", "text_link": "link"}
    spans = []
    notes = []  # (unit, text to put there)
    tables = []
    for entity in entities:
        kind = kinds.get(entity.type, entity.type)
        value = None
        start, end = entity.offset, entity.offset + entity.length
        if kind == "underline":  # 2
            continue
        if kind == "link":
            value = entity.url
            if not re.match(r"https?://[^/]*\.", value):  # 5
                covered = text.encode("utf-16-le")[start * 2 : end * 2].decode("utf-16-le")
                value = value.removeprefix("mailto:")
                if covered != value:
                    notes.append((end, f"({value})"))
                continue
            value = value.rstrip("/")
        if kind == "pre":
            value = (entity.language or "").split(" ")[0] or None  # 12
            covered = text.encode("utf-16-le")[start * 2 : end * 2].decode("utf-16-le")
            lines = covered.split("\n")
            if len(lines) > 1 and re.fullmatch(r"-+(\+-+)*", lines[1]):
                tables.append((start, end, covered))
        spans.append((entity.offset, entity.length, (kind, value)))

    pieces = []
    run = []
    unit = 0
    for char, looks in characters(text, spans):
        for place, note in notes:
            if place == unit:
                # Looks around the link go on over the address beside it.
                run += [(c, None) for c in note]
        notes = [note for note in notes if note[0] != unit]
        names = {kind for kind, _ in looks}
        if names & {"code", "pre"}:  # 4
            looks = frozenset(look for look in looks if look[0] not in ("bold", "italic", "strikethrough"))
        if "link" in names:
            looks = frozenset(look for look in looks if look[0] != "code")
        table = next((table for table in tables if table[0] == unit), None)
        if table:
            pieces.append((run, None))
            run = []
        run.append((char, looks))
        unit += 1 if ord(char) < 0x10000 else 2
        if any(end == unit for _, end, _ in tables):
            covered = next(covered for _, end, covered in tables if end == unit)
            line = [i for i, mark in enumerate(run) if mark[0] == "\n"][:2]  # 11
            pieces.append((run[: line[0]] + run[line[1] if len(line) > 1 else len(run) :], covered))
            run = []
    run += [(c, None) for _, note in notes for c in note]
    pieces.append((run, None))
    return [([mark for mark in run if visible(mark[0])], table) for run, table in pieces]


def records(table):  # 7
    lines = table.split("\n")
    heads = [head.strip() for head in lines[0].split(" | ")]
    shown = ""
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.split(" | ")]
        cells += [""] * (len(heads) - len(cells))
        for head, cell in zip(heads, cells):
            shown += f"{head}:{cell or '–'}" if head else cell or "–"
    return [(char, None) for char in shown if visible(char)]


def same(a, b):
    return a[0] == b[0] and (a[1] is None or b[1] is None or a[1] == b[1])


def expectation(pieces, found):
    """What the other renderer shows, tables in the form that ours has there."""
    expected = []
    for run, table in pieces:
        if table is not None:
            at = len(expected)
            if not all(same(a, b) for a, b in zip(run, found[at : at + len(run)])) or len(found) < at + len(run):
                run = records(table)
        expected += run
    return expected


def compare(folder, outcome):
    from telegramify_markdown import convert
    from telegramify_markdown.config import RenderConfig

    config = RenderConfig.isolated()
    config.cite_expandable = False
    for name in vars(config.markdown_symbol):  # 1
        if name.startswith("heading") or name in ("image", "link"):
            setattr(config.markdown_symbol, name, "")
    config.markdown_symbol.unordered_list_item = "•"
    config.markdown_symbol.task_completed = "☑"
    config.markdown_symbol.task_uncompleted = "☐"

    rendered = json.loads(outcome.read_text())
    differing = 0
    for path in sorted(folder.glob("*.md")):
        source = told(path.read_text())
        found = ours(rendered[path.name])
        text, entities = convert(source, latex_escape=False, config=config)
        expected = expectation(theirs(text, entities), found)
        if len(found) == len(expected) and all(same(a, b) for a, b in zip(found, expected)):
            continue
        differing += 1
        at = next(
            (i for i, (a, b) in enumerate(zip(found, expected)) if not same(a, b)), min(len(found), len(expected))
        )
        around = slice(max(0, at - 30), at + 30)
        print(f"{path.name}: they differ at visible character {at}")
        print("  ours:  ", "".join(c for c, _ in found[around]), found[at : at + 1])
        print("  theirs:", "".join(c for c, _ in expected[around]), expected[at : at + 1])
    count = len(rendered)
    print(f"{count} texts compared with telegramify-markdown, {differing} differ")
    return 1 if differing or count < 400 else 0


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(pathlib.Path(sys.argv[2]))
    else:
        sys.exit(compare(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])))
