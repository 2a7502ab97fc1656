"""Dataset files (``config/datasets/<name>.yaml``): reading, validating, and what follows from one.

A dataset may be derived from another: ``reversed`` swaps the sides of its base, ``noise`` corrupts the base's target
side into a source. What a derived file does not say, it takes from its base.
"""

import json
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from natlab import families
from natlab.errors import UserError
from natlab.schema import known, one_of, read_object, read_yaml, validate

SCHEMA = Path("workflow/schemas/dataset.schema.yaml")
FOLDER = Path("config/datasets")
LONGEST = 200  # characters of a part of an address: it names a file or folder, and others beside it have longer names
SIDES = ("src", "tgt")
SPLITS = ("train", "valid", "test")
ENGLISH = "en"
# the languages of `natlab.corpus.grammar`, by its task
GRAMMAR = {"translation": {"src": "en", "tgt": "de"}} | dict.fromkeys(
    ("paraphrase", "summary"), {"src": "de", "tgt": "de"}
)
SCORES = ("bleu", "bleu_tok", "chrf")  # what translations are scored by unless a dataset says otherwise
RULES = ("only", "without")  # by which pairs of a part are chosen: {reference: a regular expression}
# what each kind of derived dataset can be derived from
BASES = {"reversed": ("parallel", "tatoeba"), "noise": ("parallel", "tatoeba", "sets", "grammar")}


def load(path: str | Path, schema: str | Path = SCHEMA, derived_from_it: tuple[str, ...] = ()) -> dict[str, Any]:
    """The validated dataset of a YAML file, with what a derived one takes from its base.

    A reversed dataset is its base with the sides swapped; a noise corpus keeps its own ``source``, has the base's
    target language on both sides, and so a joint BPE. ``derived_from_it``: datasets on the way to this base, none of
    which it may rest on. Raises UserError naming the file, the key and what is allowed.
    """
    path = Path(path)
    dataset = read_yaml(path)
    validate(dataset, Path(schema), str(path))
    source = dataset["source"]
    if "base" not in source:
        _check_files(dataset, str(path))
        return dataset
    rest_on_it = (*derived_from_it, path.stem)
    others = sorted(file.stem for file in path.parent.glob("*.yaml") if file.stem not in rest_on_it)
    known(str(path), "source.base", source["base"], others)
    base = load(path.with_name(f"{source['base']}.yaml"), schema, rest_on_it)
    if base["source"]["kind"] not in BASES[source["kind"]]:
        raise UserError(
            f"{path}: source.base: {source['base']} is of kind {base['source']['kind']}; "
            f"allowed kinds: {', '.join(BASES[source['kind']])}"
        )
    if source["kind"] == "reversed":
        derived = {key: swapped(base[key]) for key in ("languages", "truncate") if key in base}
        # a further reference of the target is none of the source
        derived["source"] = {key: value for key, value in base["source"].items() if key != "references"}
        if "splits" in derived["source"]:
            derived["source"]["splits"] = {
                split: [part | swapped(part) for part in parts] if isinstance(parts, list) else parts
                for split, parts in derived["source"]["splits"].items()
            }
    else:
        if in_bpe(base) and source["unit"] == "word":
            raise UserError(
                f"{path}: source.unit: word needs the codes of BPE, and {source['base']}'s is given; set bpe"
            )
        tgt = base["languages"]["tgt"]
        derived = {"languages": {"src": tgt, "tgt": tgt}, "bpe": base["bpe"] | {"joint": True}}
    return base | dataset | derived


def swapped(sides: dict[str, Any]) -> dict[str, Any]:
    """What is said of source and target, or of one of them, said of the other."""
    return {side: sides[other] for side, other in zip(SIDES, reversed(SIDES), strict=True) if other in sides}


def referenced(dataset: dict[str, Any]) -> list[str]:
    """The splits of a loaded dataset whose pairs have further references, beside their targets."""
    source = dataset["source"]
    if source["kind"] in ("tatoeba", "sets") or source.get("references") and source["kind"] == "grammar":
        return ["valid", "test"]
    return [split for split in SPLITS if split in source.get("references", {})] if source["kind"] == "parallel" else []


class Reference(NamedTuple):
    """A file that a dataset names: ``file``, a key of its files, ``file:member`` of an archive, and either with
    ``#which``: a column of a table, or a translator to choose among the references of one document."""

    file: str
    member: str
    which: str

    @classmethod
    def of(cls, text: str) -> "Reference":
        place, _, which = text.partition("#")
        file, _, member = place.partition(":")
        return cls(file, member, which)


def scores(dataset: dict[str, Any]) -> list[dict[str, Any]]:
    """What a dataset's translations are scored by: each member's name (`natlab.metrics.scores`) and options."""
    return list(map(families.member, dataset.get("scores", SCORES)))


def in_bpe(dataset: dict[str, Any]) -> bool:
    """Whether a dataset's text comes in BPE already."""
    return dataset["bpe"]["merges"] == "given"


def address(url: str) -> str:
    """Where a file lies under ``results/downloads`` and under a mirror: ``host/path``, as it is asked for."""
    parts = urlsplit(request_url(url))
    return parts.netloc + parts.path


def request_url(url: str) -> str:
    """The address as a request may have it, in ASCII: letters of other alphabets in IDNA's form in the host, else
    percent-encoded. Raises ValueError where no host or port is of such a name."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=host + port, path=quote(parts.path, safe="/%!$&'()*+,;=:@~")).geturl()


def sources(folder: str | Path = FOLDER) -> dict[str, dict[str, Any]]:
    """{dataset: its ``source`` as written} for every dataset file of a folder."""
    found = {path: read_object(path).get("source") for path in sorted(Path(folder).glob("*.yaml"))}
    return {path.stem: source if isinstance(source, dict) else {} for path, source in found.items()}


def downloads(folder: str | Path = FOLDER) -> dict[str, dict[str, str]]:
    """{address: {url, sha256}} of every file any dataset of the folder fetches.

    The datasets must be valid each. Raises UserError when two disagree about the checksum of one address, and when one
    address lies within another, which on disk is a file.
    """
    found: dict[str, dict[str, str]] = {}
    for name, source in sources(folder).items():
        for key, file in source.get("files", {}).items():
            first = found.setdefault(address(file["url"]), {**file, "url": request_url(file["url"])})
            if first["sha256"] != file["sha256"]:
                raise UserError(
                    f"{Path(folder) / name}.yaml: source.files.{key}.sha256: another dataset gives {first['sha256']} "
                    f"for {file['url']}; make them agree"
                )
    for place in found:
        if above := next((str(folder) for folder in PurePosixPath(place).parents if str(folder) in found), None):
            raise UserError(f"{folder}: {place}: lies within another file's address, {above}; one of them is wrong")
    return found


# What the workflow asks of datasets by name; the files are read once a process.


@cache
def named(name: str) -> dict[str, Any]:
    """The loaded dataset of a name."""
    return load(FOLDER / f"{name}.yaml")


def pattern(*kinds: str) -> str:
    """A regular expression for the names of all datasets of some kinds, as their files state them."""
    return one_of(name for name, source in sources().items() if source.get("kind") in kinds)


def addresses(name: str) -> list[str]:
    """The addresses of the files that a dataset is made from."""
    return [address(file["url"]) for file in named(name)["source"]["files"].values()]


def base(name: str) -> str:
    """The dataset that a derived one is made from."""
    return named(name)["source"]["base"]


def settings(name: str, *keys: str) -> str:
    """The part of a dataset's configuration that a step depends on, as one line of JSON: those of the keys it has."""
    found = {key: value for key, value in named(name).items() if key in keys}
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _check_files(dataset: dict[str, Any], file: str) -> None:
    """What a schema cannot say: files that are read are listed and have addresses, the languages are those that the
    text is in, subwords that are given stay whole."""
    source, languages = dataset["source"], dataset["languages"]
    for name, fetched in source.get("files", {}).items():
        try:
            place = address(fetched["url"])
        except ValueError as error:
            raise UserError(f"{file}: source.files.{name}.url: {fetched['url']}: {error}; correct it") from None
        if max(map(len, place.split("/"))) > LONGEST:
            raise UserError(
                f"{file}: source.files.{name}.url: a part is longer than {LONGEST}, too long for a file's name; "
                "put the file elsewhere"
            )
    if in_bpe(dataset) and dataset["tokenise"] != "none":
        raise UserError(
            f"{file}: tokenise: {dataset['tokenise']} would cut the subwords of bpe.merges: given; set none"
        )
    references = {}
    if source["kind"] == "grammar":
        task = source.get("task", "translation")
        for side, language in GRAMMAR[task].items():
            known(file, f"languages.{side}", languages[side], [language])
        if task == "paraphrase" and not any(source["modes"].values()):
            raise UserError(f"{file}: source.modes: all are 0, so that nothing has another wording; set one above 0")
    elif source["kind"] == "tatoeba":
        if list(languages.values()).count(ENGLISH) != 1:
            raise UserError(
                f"{file}: languages: {languages['src']} and {languages['tgt']}; a table of Tatoeba has {ENGLISH} and "
                "another language: name these"
            )
        references["source.table"] = source["table"]
    elif source["kind"] == "sets":
        if len(set(languages.values())) != 1:
            raise UserError(
                f"{file}: languages: {languages['src']} and {languages['tgt']}; a set is of one language: name it twice"
            )
        for split, parts in source["splits"].items():
            for number, part in enumerate(parts):
                references |= {f"source.splits.{split}.{number}.{at}": name for at, name in enumerate(part)}
    elif source["kind"] == "parallel":
        for split, parts in source["splits"].items():
            for number, part in enumerate(parts if isinstance(parts, list) else ()):
                key = f"source.splits.{split}.{number}"
                references |= {f"{key}.{side}": part[side] for side in SIDES}
                _check_part(file, key, part)
                references |= {f"{key}.{rule}": name for rule in RULES for name in part.get(rule, ())}
        for split, given in source.get("references", {}).items():
            key = f"source.references.{split}"
            listed = enumerate(given) if isinstance(given, list) else given.items()
            references |= {f"{key}.{at}": reference for at, reference in listed}
    for key, reference in references.items():
        known(file, key, Reference.of(reference).file, source["files"])


def _check_part(file: str, key: str, part: dict[str, Any]) -> None:
    """What of a part's pairs is read can be: some, and by expressions that are such."""
    first, last = (part.get("pairs", {}).get(name) for name in ("first", "last"))
    if first and last and first > last:
        raise UserError(f"{file}: {key}.pairs: first {first} is after last {last}; there is no such pair")
    for rule in RULES:
        for name, expression in part.get(rule, {}).items():
            try:
                re.compile(expression)
            except re.error as error:
                raise UserError(
                    f"{file}: {key}.{rule}.{name}: {expression!r} is no regular expression ({error}); correct it"
                ) from None
