#!/usr/bin/env python3
"""Draws a screen, as `tmux capture-pane -eNp` gives it, as an SVG that loads nothing and looks alike everywhere.

Usage: ansi_to_svg.py TITLE COLUMNS < SCREEN > SVG

Every word is placed by itself, so that it stands where it should whatever the font; bars and lines are drawn as shapes.
"""

import re
import sys
from html import escape

CELL_W, CELL_H, SIZE = 9.0, 20.0, 15
PAD, BAR = 14.0, 36.0
INK, PAPER, EDGE = "#d0d3d9", "#181a1f", "#3a3f4b"
FONT = "ui-monospace, 'JetBrains Mono', 'Fira Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SIXTEEN = [
    "#181a1f", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d0d3d9",
    "#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#ffffff",
]


def indexed(n):
    """Colour of the palette of 256."""
    if n < 16:
        return SIXTEEN[n]
    if n >= 232:
        return "#" + f"{8 + (n - 232) * 10:02x}" * 3
    n -= 16
    steps = [0, 95, 135, 175, 215, 255]
    return "#{:02x}{:02x}{:02x}".format(steps[n // 36], steps[n // 6 % 6], steps[n % 6])


class Style:
    """How a cell looks."""

    def __init__(self):
        self.ink, self.paper, self.marks = None, None, frozenset()

    def key(self):
        return self.ink, self.paper, self.marks

    def take(self, codes):
        """Applies the numbers of one SGR sequence."""
        names = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "struck"}
        ends = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("struck",)}
        codes = list(codes)
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.__init__()
            elif code in names:
                self.marks |= {names[code]}
            elif code in ends:
                self.marks -= set(ends[code])
            elif code in (38, 48):
                kind = codes.pop(0)
                if kind == 5:
                    colour = indexed(codes.pop(0))
                else:
                    colour = "#{:02x}{:02x}{:02x}".format(*[codes.pop(0) for _ in range(3)])
                if code == 38:
                    self.ink = colour
                else:
                    self.paper = colour
            elif code == 39:
                self.ink = None
            elif code == 49:
                self.paper = None
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self.ink = SIXTEEN[code - 30 if code < 90 else code - 82]
            elif 40 <= code <= 47 or 100 <= code <= 107:
                self.paper = SIXTEEN[code - 40 if code < 100 else code - 92]
            else:
                sys.exit(f"ansi_to_svg: SGR {code} is not known")


def cells(screen, columns):
    """Rows of (character, look)."""
    style = Style()
    rows = []
    for line in screen.rstrip("\n").split("\n"):
        row = []
        for part in re.split(r"(\x1b\[[0-9;:]*m)", line):
            found = re.fullmatch(r"\x1b\[([0-9;:]*)m", part)
            if found:
                style.take(int(n or 0) for n in re.split("[;:]", found.group(1)))
            elif "\x1b" in part:
                sys.exit(f"ansi_to_svg: not a colour: {part!r}")
            else:
                row += [(character, style.key()) for character in part]
        rows.append(row[:columns] + [(" ", (None, None, frozenset()))] * (columns - len(row)))
    return rows


def colours(look):
    ink, paper, marks = look
    ink, paper = ink or INK, paper
    return (paper or PAPER, ink) if "reverse" in marks else (ink, paper)


def rect(x, y, w, h, colour):
    return f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" fill="{colour}"/>'


def runs(row, same):
    """Neighbours that are the same, as (start, end)."""
    start = 0
    for at in range(1, len(row) + 1):
        if at == len(row) or same(row[at]) != same(row[start]):
            yield start, at
            start = at


def draw_row(row, top):
    out = []
    for start, end in runs(row, lambda cell: colours(cell[1])[1]):
        paper = colours(row[start][1])[1]
        if paper:
            out.append(rect(PAD + start * CELL_W, top, (end - start) * CELL_W, CELL_H + 0.5, paper))
    shapes = {"▌": 0.4, "▎": 0.25}
    kind = lambda cell: (cell[1], cell[0] if cell[0] in " ▌▎─│" else "word")
    for start, end in runs(row, kind):
        (character, look), x, width = row[start], PAD + start * CELL_W, (end - start) * CELL_W
        ink = colours(look)[0]
        if character == " ":
            continue
        if character in shapes:
            # A little longer, so that no seam shows between rows.
            out.append(rect(x, top, CELL_W * shapes[character], CELL_H + 0.5, ink))
        elif character == "─":
            out.append(rect(x, top + CELL_H / 2, width, 1, ink))
        elif character == "│":
            out.append(rect(x + CELL_W / 2, top, 1, CELL_H, ink))
        else:
            marks = look[2]
            how = f'fill="{ink}"'
            if "bold" in marks:
                how += ' font-weight="bold"'
            if "italic" in marks:
                how += ' font-style="italic"'
            if "dim" in marks:
                how += ' opacity="0.6"'
            lines = [name for mark, name in (("underline", "underline"), ("struck", "line-through")) if mark in marks]
            if lines:
                how += f' text-decoration="{" ".join(lines)}"'
            text = escape("".join(character for character, _ in row[start:end]))
            out.append(
                f'<text x="{x:g}" y="{top + CELL_H * 0.74:g}" textLength="{width:g}" lengthAdjust="spacingAndGlyphs" {how}>{text}</text>'
            )
    return out


def main():
    title, columns = sys.argv[1], int(sys.argv[2])
    rows = cells(sys.stdin.read(), columns)
    width = columns * CELL_W + 2 * PAD
    height = BAR + len(rows) * CELL_H + PAD
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="{FONT}" font-size="{SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8" fill="{PAPER}" stroke="{EDGE}"/>',
    ]
    for at, colour in enumerate(["#ff5f57", "#febc2e", "#28c840"]):
        out.append(f'<circle cx="{20 + at * 20}" cy="18" r="6" fill="{colour}"/>')
    out.append(f'<text x="{width / 2:g}" y="23" text-anchor="middle" fill="#9da5b4">{escape(title)}</text>')
    for number, row in enumerate(rows):
        out += draw_row(row, BAR + number * CELL_H)
    out.append("</svg>")
    print("\n".join(out))


main()
