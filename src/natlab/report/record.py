"""What a report was made from, in one archive beside it, of which a clone can make it again (`natlab.report.rebuild`).

``record.tar.xz`` is laid out as ``results/`` is: of the measurements what the run's cells read, with the sentences'
statistics behind verdicts; exact values and statistics of the corpora; of generated corpora the test sets with the
first seed's translations; training curves; Figure 1's surfaces; when the run's jobs started and ended. The same content
is the same archive.
"""

import io
import json
import lzma
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from natlab import jobs
from natlab.errors import UserError
from natlab.files import read_json, written_aside
from natlab.report import asked

NAME = "record.tar.xz"
# of each sentence the page says these, also where no table asks for them
OF_SENTENCES = {"bleu_tok", "rouge_l", "allowed"}
OURS = "Apache-2.0"  # the licence of corpora that are generated: others' sentences are not ours to hand on


def pack(of: asked.Asked, results: Path, folder: Path) -> None:
    """Write the record of a run's report to its folder, of what lies below ``results``."""
    files = dict(_files(of, results, provenance(folder)))
    out = folder / NAME
    with (
        written_aside(out, "wb") as file,
        lzma.LZMAFile(file, "w") as packed,
        tarfile.open(mode="w", fileobj=packed) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))


@contextmanager
def unpacked(folder: Path) -> Iterator[Path]:
    """The record of a report's folder laid out as ``results/`` is, for a while. UserError where there is none, or it is
    damaged."""
    with tempfile.TemporaryDirectory() as scratch:
        _unpack(folder / NAME, Path(scratch))
        yield Path(scratch)


def _unpack(record: Path, into: Path) -> None:
    try:
        with tarfile.open(record, "r:xz") as tar:
            tar.extractall(into, filter="data")
    except FileNotFoundError:
        raise UserError(f"{record}: no such file; the run's measurements were not kept, run it again") from None
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise UserError(f"{record}: damaged ({error}); take it from git again") from error


def provenance(folder: Path) -> dict:
    """What a report's numbers rest on. UserError where that has not been written."""
    path = folder / "provenance.json"
    if not path.exists():
        raise UserError(f"{path}: no such file; make the run's provenance first")
    return read_json(path)


def curves(provenance: Mapping) -> dict[str, str]:
    """The training curves of a run's models, by the models' names: paths below ``results``."""
    specs = [model["spec"] for model in provenance["models"]]
    return {
        f"{spec['dataset']}.{spec['system']}.seed{spec['seed']}": (
            f"models/{spec['dataset']}/{spec['scale']}/{spec['system']}/seed{spec['seed']}/curve.jsonl"
        )
        for spec in specs
    }


def _files(of: asked.Asked, results: Path, provenance: Mapping) -> Iterator[tuple[str, bytes]]:
    """(name in the record, content) of all that the report is made from and that is there."""
    for source, keys in of.keys().items():
        path = results / "measurements" / source
        if path.exists():
            yield f"measurements/{source}", _json(_cut(read_json(path), keys))
    names = {str(path.relative_to(results)) for path in _kept(of, results, provenance)}
    for name in names:
        if (results / name).exists():
            yield name, (results / name).read_bytes()
    spent = jobs.spent(results / jobs.folder(of.settings["run"]))
    yield f"{jobs.folder(of.settings['run'])}/{jobs.SPENT}", "".join(map(jobs.line, spent)).encode()


def _kept(of: asked.Asked, results: Path, provenance: Mapping) -> Iterator[Path]:
    """The files that are kept as they are, whether or not they are there."""
    yield from (results / path for path in curves(provenance).values())
    scale, first = of.settings["scale"], of.settings["seeds"][0]
    described = provenance["configuration"].get("datasets", {})
    for dataset, reading in of.readings():
        corpus = results / "corpora" / dataset
        yield corpus / "text" / "exact.json"
        yield from (corpus / step / "stats.json" for step in ("text", "tok", "bpe", "bin"))
        if not described.get(dataset, {}).get("licence", "").startswith(OURS):
            continue
        yield from (corpus / "tok" / f"test.{side}" for side in ("src", "tgt"))
        yield from (corpus / "text").glob("test.ref*")
        of_system = f"{dataset}/{scale}/{reading.system}/seed{first}"
        translations = results / "translations" / of_system
        yield translations / "target.txt"
        yield results / "graphs" / f"{of_system}.json"
        if reading.decoding and reading.split == "test":
            yield translations / f"{reading.decoding}.test.txt"
            yield translations / f"{reading.decoding}.test.samples.jsonl"
        candidates = results / "candidates" / dataset / scale / f"seed{first}"
        yield from (candidates / name for name in ("gamma.json", "dict.tgt.txt", "test.bleu.npy"))
        yield from candidates.glob("test.src-tgt.[ct]*")
    for spec in of.figures.values():
        yield from asked.surface(spec, of.settings, results)


def _cut(file: dict, keys: set[str]) -> dict:
    """A measurement file with the statistics of sentences for these of its values, and for what the page says of each
    sentence."""
    if "sentence_statistics" not in file:
        return file
    statistics = {key: of for key, of in file["sentence_statistics"].items() if key in keys | OF_SENTENCES}
    return file | {"sentence_statistics": statistics}


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
