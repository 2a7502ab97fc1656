"""What a bundle says of itself: ``bundle.json``."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from natlab import __version__
from natlab.errors import UserError
from natlab.files import read_json, sha256, write_json

FILE = "bundle.json"
FORMAT = 1
# Which kinds of decoding each engine can do (`natlab.decoding.kinds`).
ENGINES = {"onnx": ("argmax", "collapse", "graph", "graph_sample"), "ctranslate2": ("beam",)}


@dataclass(frozen=True)
class Manifest:
    """A bundle's description.

    system: its name in ``config/systems.yaml``; dataset: what it learned from.
    engine: one of `ENGINES`; precision: float32 or int8, of its weights.
    decoding: its kind and options (`natlab.decoding.kinds`).
    languages: of source and target, ISO 639-1; tokenise, lowercase: how text becomes tokens (`natlab.corpus.tokenise`).
    blank: whether the model may say ε, which is removed.
    files: of each file its size in bytes and its SHA-256.
    origin: what it was made from and by which code, for people.
    format: of the folder; natlab: the version that wrote it.
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
    try:
        said = read_json(folder / FILE)
        if said["format"] != FORMAT:
            raise UserError(
                f"{folder}: a bundle of format {said['format']}, and this natlab reads {FORMAT}; export it again"
            )
        manifest = Manifest(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / FILE}: damaged ({type(error).__name__}: {error}); export the bundle again"
        ) from None
    for name, whole in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: missing; copy the whole bundle, or export it again")
        if path.stat().st_size != whole["bytes"] or sha256(path) != whole["sha256"]:
            raise UserError(f"{path}: damaged: not the file that was exported; copy the bundle again")
    return manifest
