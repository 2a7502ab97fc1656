"""Segment files: WMT's, NIST's and TED's SGML and XML, parsed, not read line by line.

Until WMT20 a file is one text: a source, or its translation by one or several people (``sysid``). Since WMT21 each
document has its source, its references, each by a ``translator``, and systems' outputs; documents of a ``testsuite``
are no part of the test set. Only ``<seg>`` is read, not the titles and the like around it. Published files are not all
well-formed: capitals, attributes without quotes, segments that are never closed, and ``<`` and ``&`` that mean
themselves are understood.
"""

import html
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from natlab.corpus.text import read
from natlab.errors import UserError

NAMES = (".sgm", ".sgml", ".xml")
HEAD = re.compile(r"\s*<(\?xml|!doctype|srcset|refset|tstset|mteval|dataset|tmx|html)\b", re.IGNORECASE)
SETS = {"srcset": "src", "refset": "ref", "tstset": "hyp"}  # of a file that is one text, whose part it is
PARTS = ("src", "ref", "hyp")
BLOCKS = {"seg", "p", "hl", "doc", *SETS, *PARTS}  # what begins or ends here ends a segment
CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
NO_TAG = re.compile(r"<(?!/?[a-z][\w:.-]*(\s[^<>]*)?/?>|[!?])", re.IGNORECASE)


class Key(NamedTuple):
    """A segment's name in all texts of a document; ``repeat`` tells those apart that have the same."""

    document: str
    segment: str
    repeat: int


class Text(NamedTuple):
    """What a segment file says in one language.

    sentences: of each segment, in the file's order, by translator ("" of a source), by their names; mixed:
    whether the file is one of several texts, where a segment may lack a translation.
    """

    sentences: dict[Key, dict[str, str]]
    mixed: bool


def is_markup(path: Path) -> bool:
    """Whether a file holds segments: by its name or, where that does not say, by its first line."""
    name = path.name.lower().removesuffix(".gz")
    if name.startswith("train.tags."):  # TED's training files are lines between tags
        return False
    return name.endswith(NAMES) or HEAD.match(next(read(path), "")) is not None


def read_text(path: Path, language: str, role: str = "src") -> Text:
    """The text of a segment file in a language (ISO 639-1): of one that has source and references, the source's or that
    of all references, whichever is in it, and of both in it that of ``role``, ``src`` or ``ref``. A file that is one
    text is taken to be in the language.

    Raises UserError: no segments, none in the language, and what `natlab.corpus.text.read` refuses.
    """
    parser = _Parser()
    # whole, since the parser keeps back what may be half a tag
    text = CDATA.sub(lambda data: html.escape(data[1]), "\n".join(read(path)))
    parser.feed(NO_TAG.sub("&lt;", text))
    parser.close()
    parser.end()
    if not parser.found or parser.tmx:
        raise UserError(f"{path}: not a segment file of WMT's, NIST's or TED's form; name plain text, or one of these")
    mixed = parser.parted or len({place.role for place, _, _ in parser.found}) > 1
    found = [row for row in parser.found if not mixed or row[0].role != "hyp" and row[0].language == language]
    if not found:
        languages = ", ".join(sorted({place.language or "?" for place, _, _ in parser.found if place.role != "hyp"}))
        raise UserError(f"{path}: has no text in {language}, but in {languages}; name the file that has it")
    role = role if any(place.role == role for place, _, _ in found) else found[0][0].role
    found = [row for row in found if row[0].role == role]
    translators = sorted({place.translator for place, _, _ in found})
    of: dict[Key, dict[str, str]] = {key: {} for _, key, _ in parser.found}
    for place, key, sentence in found:
        of[key][place.translator] = sentence
    return Text({key: {by: of[key][by] for by in translators if by in of[key]} for key in of if of[key]}, mixed)


class _Place(NamedTuple):
    """Of which text a segment is: src, ref or hyp, in which language, by whom."""

    role: str
    language: str
    translator: str


class _Parser(HTMLParser):
    """Collects ``found``: (of which text, key, sentence) of each segment, in the file's order."""

    CDATA_CONTENT_ELEMENTS = RCDATA_CONTENT_ELEMENTS = ()  # a title here is no HTML title, which hides tags

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[_Place, Key, str]] = []
        self.seen: Counter[tuple[_Place, str, str]] = Counter()
        self.tmx = self.parted = self.other = False
        self.place = _Place("", "", "")
        self.document = self.segment = self.set = ""
        self.documents = self.segments = 0
        self.parts: Counter[str] = Counter()
        self.words: list[str] | None = None  # of the open segment

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tmx |= tag == "tmx"  # has segments, too, but of all languages in turn
        if tag in BLOCKS:
            self.end()
        if tag in SETS:
            self.documents = 0
            self.set = given.get("refid") or given.get("sysid") or ""
            self.place = _Place(SETS[tag], _code(given.get("srclang" if tag == "srcset" else "trglang", "")), self.set)
        elif tag == "doc":
            self.documents, self.segments, self.parts = self.documents + 1, 0, Counter()
            self.other = "testsuite" in given
            self.document = given.get("docid") or given.get("id") or str(self.documents)
            if self.place.role != "src":  # whose documents may have the system "ref"
                self.place = self.place._replace(translator=given.get("sysid") or self.set)
        elif tag in PARTS:
            self.parted, self.segments = True, 0
            self.parts[tag] += 1
            by = given.get("translator") or given.get("system") or str(self.parts[tag])
            self.place = _Place(tag, _code(given.get("lang", "")), "" if tag == "src" else by)
        elif tag == "seg" and not self.other:
            self.segments += 1
            identity = given.get("id")
            # NIST's tools write 001 for 1
            self.segment = identity.lstrip("0") or "0" if identity else str(self.segments)
            self.words = []

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.end()

    def handle_data(self, data: str) -> None:
        if self.words is not None:
            self.words.append(data)

    def end(self) -> None:
        """Keep the open segment, if there is one."""
        if self.words is None:
            return
        name = self.place, self.document, self.segment
        key = Key(self.document, self.segment, self.seen[name])
        self.seen[name] += 1
        self.found.append((self.place, key, " ".join("".join(self.words).split())))
        self.words = None


def _code(language: str) -> str:
    """``de`` of ``de``, ``DE`` or ``de-AT``."""
    return re.split("[-_]", language.lower())[0]
