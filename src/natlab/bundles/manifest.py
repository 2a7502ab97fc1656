"""What a bundle says of itself: ``bundle.json``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, get_origin

from natlab import __version__
from natlab.corpus.tokenise import SCHEMES
from natlab.errors import UserError
from natlab.files import read_json, sha256, write_json

FILE = "bundle.json"
FORMAT = 1
# Which kinds of decoding each engine can do (`natlab.decoding.kinds`), and the options of these that it heeds.
ENGINES = {
    "onnx": {
        "argmax": ("length_candidates", "length_factor", "deduplicate", "shown"),
        "collapse": (),
        "graph": ("strategy", "length_penalty", "shown"),
        "graph_sample": ("samples", "beta", "temperature", "top_p", "seed", "shown"),
    },
    "ctranslate2": {"beam": ("beam", "length_penalty")},
}
PRECISIONS = ("float32", "int8")
MODEL = {"onnx": "model.onnx", "ctranslate2": "model/model.bin"}  # the file without which there is none
VOCABULARIES = ("vocabulary.src", "vocabulary.tgt")
CODES = "codes.src"


def engines_for(decoding: Mapping[str, Any]) -> list[str]:
    """The engines that can do a decoding: its kind, and every option that is set."""
    return [
        engine
        for engine, kinds in ENGINES.items()
        if decoding["kind"] in kinds
        and not any(value for option, value in decoding.items() if option not in ("kind", *kinds[decoding["kind"]]))
    ]


@dataclass(frozen=True)
class Manifest:
    """A bundle's description.

    system: its name in ``config/systems.yaml``; dataset: what it learned from.
    engine: one of `ENGINES`; precision: float32 or int8, of its weights.
    decoding: its kind and options (`natlab.decoding.kinds`).
    languages: of source and target, ISO 639-1; tokenise, lowercase: how text becomes tokens (`natlab.corpus.tokenise`);
    truncate: how many of a source's are kept, all if None.
    blank: whether the model may say ε, which is removed.
    origin: what it was made from and by which code, for people.
    files: of each file its size in bytes and its SHA-256.
    natlab: the version that wrote it; format: of the folder.
    """

    system: str
    dataset: str
    engine: str
    precision: str
    decoding: dict[str, Any]
    languages: dict[str, str]
    tokenise: str
    lowercase: bool
    truncate: int | None
    blank: bool
    origin: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    natlab: str = __version__
    format: int = FORMAT

    @classmethod
    def plain(cls, engine: str, precision: str, decoding: dict[str, Any], blank: bool) -> "Manifest":
        """Of a model without text."""
        nothing = {"src": "", "tgt": ""}
        return cls("", "", engine, precision, decoding, nothing, "none", False, None, blank, {})

    def write(self, folder: Path) -> None:
        """Write it to a folder, with the sums of all files that lie there."""
        inside = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in inside
        }
        write_json(folder / FILE, {**asdict(self), "files": files})


def read(folder: str | Path) -> Manifest:
    """The manifest of a bundle whose files are whole. UserError where the folder is no bundle, of another format, or
    damaged."""
    folder = Path(folder)
    if not (folder / FILE).is_file():
        raise UserError(f"{folder}: no bundle: it holds no {FILE}; make one with `natlab export`")
    manifest = _described(folder / FILE)
    for name, whole in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: missing; copy the whole bundle, or export it again")
        if path.stat().st_size != whole["bytes"] or sha256(path) != whole["sha256"]:
            raise UserError(f"{path}: damaged: not the file that was exported; copy the bundle again")
    return manifest


def _described(path: Path) -> Manifest:
    """The manifest in a file, each part of its kind."""
    try:
        said = read_json(path)
        if not isinstance(said, dict) or not isinstance(said.get("format"), int):
            raise ValueError("no description of a bundle")
        if said["format"] != FORMAT:
            raise UserError(f"{path}: a bundle of format {said['format']}; this natlab reads {FORMAT}: export it again")
        manifest = Manifest(**said)
        for part in fields(Manifest):
            if not _fits(getattr(manifest, part.name), part.type):
                raise ValueError(f"{part.name} is {getattr(manifest, part.name)!r}")
        if manifest.engine not in engines_for(manifest.decoding) or manifest.precision not in PRECISIONS:
            raise ValueError(f"{manifest.engine}, {manifest.precision}, cannot do {manifest.decoding}")
        missing = set(ENGINES[manifest.engine][manifest.decoding["kind"]]) - set(manifest.decoding)
        if missing or set(manifest.languages) != {"src", "tgt"} or manifest.tokenise not in SCHEMES:
            raise ValueError("an option is missing, or a scheme unknown")
        needed = {*VOCABULARIES, MODEL[manifest.engine]}
        if not needed <= set(manifest.files) or not all(map(_plain, manifest.files)):
            raise ValueError("its files are not a bundle's")
        if not all({"bytes", "sha256"} <= set(whole) for whole in manifest.files.values()):
            raise ValueError("its files have no sums")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({type(error).__name__}: {error}); export the bundle again") from None
    return manifest


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a field's type."""
    if isinstance(value, bool):  # which is an int
        return kind is bool
    return isinstance(value, dict if get_origin(kind) is dict else kind)


def _plain(name: str) -> bool:
    """Whether a file's name stays below its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
