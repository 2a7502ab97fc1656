"""`natlab export`: a trained system of a run as a bundle, which translates plain text (`natlab translate`)."""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from natlab import families
from natlab.bundles.manifest import CODES, FILE, PRECISIONS, VOCABULARIES, Manifest, engines_for
from natlab.config import rows
from natlab.corpus import dataset as datasets
from natlab.corpus.text import folder_aside
from natlab.corpus.vocabulary import UNK, UNKNOWN, read_symbols
from natlab.errors import UserError
from natlab.files import read_json
from natlab.models import validation
from natlab.schema import known

if TYPE_CHECKING:
    from natlab.config import Run


class Place(NamedTuple):
    """Which model of a run, by the folders that its files lie in."""

    dataset: str
    scale: str
    system: str
    seed: int

    def under(self, folder: Path) -> Path:
        return folder / self.dataset / self.scale / self.system / f"seed{self.seed}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_file", type=Path, metavar="RUNFILE", help="the run, as config/config.yaml, or as it was resolved"
    )
    parser.add_argument("system", metavar="SYSTEM", help="a system of the run that has been trained")
    parser.add_argument("--dataset", help="the dataset it was trained on; needed where the run has several")
    parser.add_argument("--seed", type=int, help="default: the run's first")
    parser.add_argument("--decoding", help="a decoding of config/systems.yaml; default: as its training is validated")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="of the weights")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the folder of corpora and models")
    parser.add_argument("--out", type=Path, help="default: results/bundles/<dataset>/<scale>/<system>/seed<k>/…")


def run(args: argparse.Namespace) -> None:
    from natlab import config

    of = config.load_file(args.run_file) if args.run_file.suffix != ".json" else resolved(args.run_file)
    place = chosen(of, args.system, args.dataset, args.seed)
    name, decoding = decoded(of, place, args.decoding, args.results)
    out = args.out or place.under(args.results / "bundles") / f"{name}.{args.precision}"
    export(of.dataset(place.dataset), place, name, decoding, args.precision, args.results, out)
    print(f"{out}: translates plain text: natlab translate {out}")


def resolved(path: Path) -> "Run":
    """The run of the settings that a run's report holds. UserError where there is no such file."""
    from natlab import config

    try:
        return config.load(read_json(path), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name a run's file, as {config.DEFAULT_RUN}") from None


def chosen(run: "Run", system: str, dataset: str | None, seed: int | None) -> Place:
    """The model of a run that a command names. UserError where it has none such, or several."""
    models = [model for model in run.trained if model.system == system]
    if not models:
        known = ", ".join(sorted({model.system for model in run.trained}))
        raise UserError(f"{run.source}: trains no system {system}; it trains: {known}")
    found = sorted({model.dataset for model in models})
    if dataset is None and len(found) > 1:
        raise UserError(f"{run.source}: trains {system} on {', '.join(found)}; name one with --dataset")
    if dataset is not None and dataset not in found:
        raise UserError(
            f"--dataset {dataset}: {run.source} trains {system} on {', '.join(found)} only; name one of these"
        )
    seeds = run.settings["seeds"]
    if seed is not None and seed not in seeds:
        raise UserError(f"--seed {seed}: {run.source} has the seeds {', '.join(map(str, seeds))}; name one of these")
    return Place(dataset or found[0], run.settings["scale"], system, seeds[0] if seed is None else seed)


def decoded(run: "Run", place: Place, name: str | None, results: Path) -> tuple[str, dict[str, Any]]:
    """The name and the options of a decoding, those that are tuned as they were chosen. UserError for one that does not
    suit the system, or that no bundle can do."""
    row = run.systems[place.system]
    validated = validation.decoding(run.spec(place.dataset, place.system, place.seed))
    if validated is None:
        raise UserError(f"{place.system}: translates nothing; export a system that starts from it")
    suitable = {each: of for each, of in run.decodings.items() if rows.decodes(of, row) and engines_for(of)}
    if name is None:
        name = next(each for each, of in suitable.items() if of["kind"] == validated["kind"])
    known(f"--decoding of {place.system}", "for a bundle", name, suitable)
    decoding = run.decoding(place.dataset, name, place.system)
    if families.tuned(decoding):
        tuned = place.under(results / "translations") / "tuned.json"
        choices = read_json(tuned) if tuned.exists() else {}
        if name not in choices:
            raise UserError(f"{tuned}: says no choice for {name}, whose options are tuned; translate with it first")
        decoding |= choices[name]["options"]
    return name, decoding


def export(
    dataset: dict[str, Any],
    place: Place,
    name: str,
    decoding: dict[str, Any],
    precision: str,
    results: Path,
    out: Path,
) -> None:
    """Write a bundle of the model at ``place`` under ``results``, as it translates under a decoding of this name.
    Raises UserError where it has not been trained, or cannot be said in its engine's form."""
    from natlab import provenance
    from natlab.export import card, forms
    from natlab.models.load import load

    if out.exists() and not (out / FILE).exists():
        raise UserError(f"{out}: is there, and is no bundle, so that it is not written over; name another folder")
    path = place.under(results / "models") / "model.pt"
    if not path.exists():
        raise UserError(f"{path}: no such model; train it: snakemake --cores 2 {path}")
    model, made = load(path)
    corpus = results / "corpora" / place.dataset
    (engine,) = engines_for(decoding)
    manifest = Manifest(
        system=place.system,
        dataset=place.dataset,
        engine=engine,
        precision=precision,
        decoding=decoding,
        languages=dataset["languages"],
        tokenise=dataset["tokenise"],
        lowercase=dataset["lowercase"],
        truncate=dataset.get("truncate", {}).get("src"),
        blank=bool(getattr(model, "blank", False)),
        origin={
            "scale": place.scale,
            "seed": place.seed,
            "decoding": name,
            "licence": dataset["licence"],
            "model": provenance.record(made["fingerprint"]),
        },
    )
    vocabularies = []
    for side, size in (("src", model.config.source_vocabulary), ("tgt", model.config.target_vocabulary)):
        dictionary = corpus / "bin" / f"dict.{side}.txt"
        symbols = read_symbols(dictionary)
        if len(symbols) != size:
            raise UserError(
                f"{dictionary}: {len(symbols)} symbols, and {path} knows {size}: not its corpus; train again"
            )
        if symbols[UNK] in symbols[UNK + 1 :]:  # a corpus may have the word <unk>
            symbols[UNK] = UNKNOWN
        vocabularies.append(symbols)
    with folder_aside(out) as folder:
        forms.WRITERS[engine](model, decoding, precision, folder)
        for file, symbols in zip(VOCABULARIES, vocabularies, strict=True):
            write_lines(folder / file, symbols)
        if not datasets.in_bpe(dataset):
            shutil.copyfile(corpus / "bpe" / CODES, folder / CODES)
        measurement = measured(place.under(results / "measurements") / f"{name}.test.json", made["fingerprint"])
        write_lines(folder / "README.md", card.lines(manifest, measurement))
        manifest.write(folder)


def measured(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The measurement in a file, if it is there and of the model of this fingerprint."""
    found = read_json(path) if path.exists() else {"provenance": {"fingerprint": None}}
    return found if found["provenance"]["fingerprint"] == fingerprint else None


def write_lines(path: Path, of: list[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in of)
