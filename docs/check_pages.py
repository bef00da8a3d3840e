"""Checks of the built site, the last step of `make docs`: ``python docs/check_pages.py build/docs``.

It prints what is wrong and ends with an error, if

- a line of code is wider than its column on a screen of 1280 pixels;
- a link within the site leads nowhere, or `llms.txt` leaves out a page;
- a picture has no alternative text;
- a section has measured figures and names no command that measures them.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Characters in a line of code, as a browser of 1280 pixels shows them with _static/site.css, and
# what each list, note or description around the code takes away.
COLUMN, INDENT = 101, 5

VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
NARROWER = re.compile(r"\b(admonition|sphx-glr-script-out|sd-card|versionadded)\b")

# Pages that are made of code: what an example prints is measured by its own script.
OF_CODE = ("_modules/", "auto_examples/", "generated/")
COMMAND = re.compile(
    r"python [\w/]+\.py|\bmake [a-z-]+|\bpytest\b|\b(benchmarks|examples)/\w+\.py|>>> "
)
UNITS = "s|ms|µs|min|minutes|seconds|KiB|MiB|GiB|MB|GB|%|per cent|points|times"
MEASURED = re.compile(rf"\d(?:\.\d+)?\s(?:{UNITS})(?![\w-])")
N_MEASURED = 3  # in a paragraph: fewer may be a rule of thumb


class Page(HTMLParser):
    """What the checks need of a page: ids and links of all of it, the rest of its article."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.pictures, self.code = set(), [], [], []
        self.sections = [Section("")]
        self._open, self._text, self._row = [], None, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag not in VOID:
            self._open.append((tag, attrs.get("class") or ""))
        if self._within("article"):
            self._start(tag, attrs)

    def _start(self, tag, attrs):
        if tag == "img":
            # The card of an example has the example's title below its picture.
            titled = any("sphx-glr-thumbcontainer" in classes for _, classes in self._open)
            self.pictures.append((attrs.get("src"), attrs.get("alt"), titled))
        elif tag in ("pre", "p", "td", "h2") and self._text is None:
            self._text = ""
        elif tag == "table":
            self.sections[-1].tables.append([])
        if tag in ("a", "source") and "auto_examples/plot_" in (attrs.get("href") or ""):
            self.sections[-1].has_command = True

    def handle_data(self, data):
        if self._text is not None:
            self._text += data
        if self._within("article") and COMMAND.search(data):
            self.sections[-1].has_command = True

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if self._within("article") and self._text is not None:
            self._end(tag)
        while self._open and self._open.pop()[0] != tag:
            pass

    def _end(self, tag):
        section, text = self.sections[-1], self._text
        if tag == "pre":
            self.code.append((self._column(), text))
        elif tag == "h2":
            self.sections.append(Section(text))
        elif tag == "td" and section.tables:
            section.tables[-1].append(text)
        elif tag == "p" and not self._within("td"):
            section.paragraphs.append(text)
        if tag in ("pre", "h2", "td") or (tag == "p" and not self._within("td")):
            self._text = None

    def _within(self, tag):
        return any(name == tag for name, _ in self._open)

    def _column(self):
        """Characters that the code which ends here has room for."""
        around = [
            1 for tag, classes in self._open if tag in ("li", "dd") or NARROWER.search(classes)
        ]
        return COLUMN - INDENT * len(around)


class Section:
    """A part of a page below a heading of the second level."""

    def __init__(self, title):
        self.title, self.paragraphs, self.tables = title.rstrip("#"), [], []
        self.has_command = False

    def figures(self):
        """The first words of the paragraphs and tables of measured figures."""
        yield from (text for text in self.paragraphs if len(MEASURED.findall(text)) >= N_MEASURED)
        for cells in self.tables:
            if sum(map(is_number, cells)) > len(cells) / 2:
                yield "the table that begins with " + cells[0]


def is_number(cell):
    """Whether a cell holds a figure, such as 1.05, 3 %, 2.1e-7 or "0.9 ± 0.1"."""
    return bool(re.match(r"[<>≈~−-]?\s*\d", cell.strip()))


def wide_lines(page):
    """Lines of code that a reader has to scroll for."""
    for column, text in page.code:
        for line in text.splitlines():
            if len(line) > column:
                yield f"{len(line)} characters where {column} fit: {line.strip()[:60]}"


def pictures_without_text(page):
    """Pictures that say nothing to those who cannot see them."""
    for source, text, titled in page.pictures:
        if not text and not titled:
            yield f"no alternative text: {source}"


def figures_without_command(page):
    """Measured figures in a section without a command, if the page's beginning has none either."""
    if page.sections[0].has_command:
        return
    for section in page.sections:
        if not section.has_command:
            for text in section.figures():
                yield f"no command in “{section.title}” for: {' '.join(text.split())[:60]}"


def broken_links(name, page, pages, root):
    """Links within the site without a page, a file or a place that they lead to."""
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        path = (root / name).parent / unquote(parts.path) if parts.path else root / name
        target = path.resolve()
        place = unquote(parts.fragment)
        if not target.is_file():
            yield f"no such page: {link}"
        elif place and target in pages and place not in pages[target].ids:
            yield f"no such place: {link}"


def unlisted(names, text):
    """Pages that the map of the site leaves out, and entries without a page."""
    linked = set(re.findall(r"\]\(([^)]+)\)", text))
    yield from (f"llms.txt names no page {name}" for name in sorted(set(names) - linked))
    yield from (f"llms.txt: no such page {name}" for name in sorted(linked - set(names)))


def checked(root):
    """All complaints about the site in a folder, each with its page."""
    root = root.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    names = []
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        found = [*broken_links(name, page, pages, root), *pictures_without_text(page)]
        if not name.startswith("_modules/"):
            found += wide_lines(page)
        if not name.startswith(OF_CODE):
            found += figures_without_command(page)
            names.append(name)
        yield from (f"{name}: {complaint}" for complaint in found)
    made = {"genindex.html", "py-modindex.html", "search.html"}
    names = {*names, "auto_examples/index.html"} - made
    yield from unlisted(names, (root / "llms.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    complaints = list(checked(Path(sys.argv[1])))
    sys.exit("\n".join(complaints) or 0)
