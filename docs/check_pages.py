"""Checks of the built site, which end `make docs`: ``python docs/check_pages.py build/docs``.

It prints what is wrong and ends with an error, if

- a line of code is wider than its column on a screen of 1280 pixels;
- a link within the site leads nowhere, or `llms.txt` leaves out a page;
- a picture has no alternative text;
- a name that begins with an initial, such as D. P. Kingma, became a list;
- a page has measured figures and names no command that measures them.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Characters in a line of code, as a browser of 1280 pixels shows them with _static/site.css, and
# what each list, note or description around the code takes away.
COLUMN, INDENT = 101, 5
NARROWER = {"li", "dd", "blockquote"}

VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
KEPT = ("pre", "p", "td")  # whose text is looked at

# Pages of code: what an example prints is measured by the example, and no page in llms.txt.
OF_CODE = ("_modules/", "_static/", "auto_examples/plot_", "generated/")
MADE = {"genindex.html", "py-modindex.html", "search.html"}

COMMAND = re.compile(r"python [\w/]+\.py|\bmake [a-z]+|\bpytest\b|^>>> ", re.MULTILINE)
UNITS = "s|ms|µs|min|minutes|seconds|KiB|MiB|GiB|MB|GB|%|per cent|points|times"
MEASURED = re.compile(rf"\d\s(?:{UNITS})(?![\w-])")
N_MEASURED = 3  # in a paragraph: fewer may be a rule of thumb
NUMBER = re.compile(r"\s*[<>≈~−-]?\s*\d")  # at the beginning of a cell: 1.05, 3 %, "0.9 ± 0.1"


class Page(HTMLParser):
    """What the checks need of a page: all its ids and links, and more of its article.

    Attributes: ``ids``; ``links``; ``pictures``, each a source and a text; ``lettered``, how
    many lists count with letters; ``code``, each with the width that it has room for;
    ``paragraphs``; ``tables``, each a list of cells; ``text``.
    """

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.pictures, self.code = set(), [], [], []
        self.paragraphs, self.tables, self.text, self.lettered = [], [], "", 0
        self._open, self._kept = [], None  # tags and classes; the tag of `KEPT` and where it began
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if "href" in attrs and tag == "a":
            self.links.append(attrs["href"])
        if tag == "img" and self._inside("article"):
            # An example's card has a picture, and its title as text.
            card = any("sphx-glr-thumbcontainer" in classes for _, classes in self._open)
            self.pictures.append((attrs.get("src"), attrs.get("alt") or ("card" if card else "")))
        if tag not in VOID:
            self._open.append((tag, attrs.get("class") or ""))
        if self._inside("article"):
            self._begin(tag)

    def _begin(self, tag):
        if tag == "table":
            self.tables.append([])
        if tag == "ol" and "upper" in self._open[-1][1]:
            self.lettered += 1
        if tag in KEPT and self._kept is None:
            self._kept = (tag, len(self.text))

    def handle_data(self, data):
        if self._inside("article"):
            self.text += data

    def handle_endtag(self, tag):
        if self._kept and self._kept[0] == tag:
            self._keep(tag, self.text[self._kept[1] :])
            self._kept = None
        while self._open and tag not in VOID and self._open.pop()[0] != tag:
            pass

    def _keep(self, tag, text):
        if tag == "pre":
            around = sum(t in NARROWER or "admonition" in classes for t, classes in self._open)
            self.code.append((COLUMN - INDENT * around, text))
        elif tag == "p":
            self.paragraphs.append(text)
        elif self.tables:
            self.tables[-1].append(text)

    def _inside(self, tag):
        return any(name == tag for name, _ in self._open)


def wide_lines(page):
    """Lines of code that a reader has to scroll for."""
    for column, text in page.code:
        for line in text.splitlines():
            if len(line) > column:
                yield f"{len(line)} characters where {column} fit: {line.strip()[:60]}"


def pictures_without_text(page):
    """Pictures that say nothing to those who cannot see them."""
    return (f"no alternative text: {source}" for source, text in page.pictures if not text)


def names_as_lists(page):
    """Names that begin with an initial: reStructuredText takes D. for the fourth of a list."""
    return ["an initial became a list: continue the entry on a second line"] * page.lettered


def figures_without_command(page):
    """Measured figures, in paragraphs and tables, on a page without a command."""
    if COMMAND.search(page.text):
        return
    for text in page.paragraphs:
        if len(MEASURED.findall(text)) >= N_MEASURED:
            yield f"no command for the figures of: {' '.join(text.split())[:60]}"
    for cells in page.tables:
        if sum(NUMBER.match(cell) is not None for cell in cells) > len(cells) / 2:
            yield f"no command for the table that begins with: {cells[0]}"


def broken_links(path, pages):
    """Links within the site without a page, a file or a place that they lead to."""
    for link in pages[path].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file():
            yield f"no such page: {link}"
        elif parts.fragment and unquote(parts.fragment) not in pages[target].ids:
            yield f"no such place: {link}"


def wrong_map(names, text):
    """Pages that `llms.txt` leaves out, and its entries without a page."""
    linked = set(re.findall(r"\]\(([^)]+)\)", text))
    yield from (f"llms.txt leaves out {name}" for name in sorted(names - linked))
    yield from (f"llms.txt: no such page: {name}" for name in sorted(linked - names))


def complaints(root):
    """What is wrong with the site in a folder."""
    root = root.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    names = {path: path.relative_to(root).as_posix() for path in pages}
    for path, page in pages.items():
        found = [*broken_links(path, pages), *pictures_without_text(page), *names_as_lists(page)]
        if not names[path].startswith("_"):  # the sources are for those who want all of them
            found += wide_lines(page)
        if not names[path].startswith(OF_CODE):
            found += figures_without_command(page)
        yield from (f"{names[path]}: {complaint}" for complaint in found)
    prose = {name for name in names.values() if not name.startswith(OF_CODE)} - MADE
    yield from wrong_map(prose, (root / "llms.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    found = list(complaints(Path(sys.argv[1])))
    print(*found, sep="\n")
    sys.exit(bool(found))
