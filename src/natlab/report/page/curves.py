"""Training curves on the page: of every model its losses by name, its validation score and its learning rate.

They lie beside the page, a picture a model, and are loaded when asked for.
"""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from natlab.files import lines, written_aside
from natlab.papers.labels import Labels
from natlab.report import figures

FOLDER = "curves"
PANELS = ("losses, bits/token", "validation score", "learning rate")


def write(models: Mapping[str, str], results: Path, folder: Path) -> dict[str, str]:
    """Draw the curves of models, by name their files below ``results``, beside the page in ``folder``; those of
    them that are there."""
    made = {name: path for name, path in models.items() if (results / path).exists()}
    with figures.styled():
        for name, path in made.items():
            curve = [json.loads(line) for line in lines(results / path)]
            with written_aside(folder / FOLDER / f"{name}.svg", "wb") as file:
                _drawn(curve).print_svg(file, metadata={"Date": None})
    return made


def section(made: Mapping[str, str], labels: Labels) -> str:
    """The choice of a model, by its system's label, and its picture; ``made`` is what `write` has drawn."""
    if not made:
        return ""
    choices = "".join(
        f'<option value="{FOLDER}/{escape(name)}.svg">{escape(_named(path, labels))}</option>'
        for name, path in made.items()
    )
    return f"""<section id="curves">
<h2>Training curves</h2>
<details><summary>{len(made)} models</summary>
<p class="tools"><label for="curves-model">Model</label> <select id="curves-model">{choices}</select></p>
<figure><img id="curves-picture" alt=""></figure>
<p id="curves-absent" class="soft" hidden>The picture is not here: curves are not kept in git.
<code>natlab rebuild</code> with the report's folder draws them.</p>
</details>
</section>
"""


def _named(path: str, labels: Labels) -> str:
    """The model whose curve lies there, as a reader has it."""
    _, dataset, _, system, seed, _ = path.split("/")
    return f"{labels.system(system)}; {dataset}, seed {seed.removeprefix('seed')}"


def _drawn(curve: list[Mapping[str, float]]) -> FigureCanvasSVG:
    """Three panels over updates. Solid lines are of the validation set, thin ones of training."""
    figure = Figure(figsize=(11, 3.1))
    canvas = FigureCanvasSVG(figure)
    panels = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.16, top=0.83, wspace=0.22)
    names = [name for line in curve for name in line if name.endswith("_loss")]
    drawn = [dict.fromkeys(names), {"bleu": None, "score": None}, {"lr": None}]
    for axes, title, series in zip(panels, PANELS, drawn, strict=True):
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("updates")
        axes.grid(axis="y")
        for name, colour in zip(series, figures.palette(len(series)), strict=False):
            for subset, style in (
                ("train", {"lw": 0.8, "alpha": 0.7}),
                ("valid", {"lw": 1.5, "marker": "o", "ms": 2.5}),
            ):
                points = [
                    (line["num_updates"], line[name]) for line in curve if line["subset"] == subset and name in line
                ]
                if points:
                    label = name.removesuffix("_loss") if subset == "valid" or name == "lr" else None
                    axes.plot(*zip(*points, strict=True), color=colour, label=label, **style)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(fontsize=7.5)
    return canvas
