"""What a run's report asks for: the specs of its tables, figures and claims, the measurements that fill them, and what
these are called."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from natlab.papers import cells as resolve
from natlab.papers import claims as claimed
from natlab.papers import labels as labelled
from natlab.papers import spec as specs
from natlab.papers.labels import Labels


@dataclass(frozen=True)
class Asked:
    """A run's settings, and the specs it names.

    settings: the run's, as resolved;
    tables, figures, claims: specs by name (``<paper>/<table>``), in the run's order;
    behind: specs of tables that only claims are about;
    labels: what systems and decodings are called.
    """

    settings: Mapping
    tables: dict[str, dict]
    figures: dict[str, dict]
    claims: dict[str, dict]
    behind: dict[str, dict]
    labels: Labels

    def cells(self) -> Iterator[resolve.Cell]:
        """All cells that something measures."""
        for spec in (*self.tables.values(), *self.figures.values(), *self.behind.values()):
            yield from resolve.cells(spec, self.settings)
        for stated in self.claims.values():
            yield from claimed.cells(stated, self.settings)

    def readings(self) -> Iterator[tuple[str, resolve.Reading]]:
        """(dataset, reading) of all cells; none of a corpus for which no dataset stands."""
        for cell in self.cells():
            if cell.dataset is not None:
                yield from ((cell.dataset, reading) for reading in cell.readings)

    def subjects(self) -> list[str]:
        """The systems that claims are made for, those of most comparisons first: what these claim to be the highest, or
        the lowest."""
        first = [
            claimed.compared(stated, part)[0][0].get("system")
            for stated in self.claims.values()
            for claim in stated["claims"]
            for part in claim["parts"]
            if "comparison" in part
        ]
        return [system for system, _ in Counter(first).most_common() if system is not None]

    def about(self, stated: Mapping) -> dict[str, dict]:
        """The specs of the tables that claims are about, by name."""
        return {name: self.behind[name] for name in claimed.tables_named(stated)}

    def keys(self) -> dict[str, set[str]]:
        """The values that are read of each measurement file, by its path below the folder of measurements."""
        found: dict[str, set[str]] = {}
        for dataset, reading in self.readings():
            for seed in self.settings["seeds"]:
                source = reading.source(dataset, self.settings["scale"], seed)
                found.setdefault(source, set()).add(reading.key)
        return found


def read(settings: Mapping, papers: Path) -> Asked:
    """What ``settings`` ask for, by the specs below ``papers``. UserError where one of these is not valid."""
    tables, figures = (
        {name: specs.load(papers / f"{name}.yaml") for name in settings.get(kind, ())} for kind in ("tables", "figures")
    )
    claims = {name: claimed.load(papers / f"{name}.yaml") for name in settings.get("claims", ())}
    behind = {
        name: specs.load(papers / f"{name}.yaml") for stated in claims.values() for name in claimed.tables_named(stated)
    }
    return Asked(settings, tables, figures, claims, behind, labelled.load(papers))


def surface(spec: Mapping, settings: Mapping, results: Path) -> list[Path]:
    """The files of the grid of a figure of surfaces, of the run's first seed; none of another figure."""
    draw = spec["draw"]
    dataset = settings["corpora"].get(draw.get("corpus"))
    if draw["kind"] != "surface" or dataset is None:
        return []
    systems, seed = "+".join(draw["systems"]), settings["seeds"][0]
    return sorted((results / "surfaces" / dataset / settings["scale"] / systems / f"seed{seed}").glob("*.json"))
