"""What the run of `example` measured; a whole run with its report."""

import pytest
from tests.report import whole as runs
from tests.report.example import AT, NAT, RUN, bits, bleu, measurement

from natlab.files import write_json


@pytest.fixture
def results(tmp_path):
    for seed in RUN["seeds"]:
        measurement(tmp_path / "m", "grammar_ende", "transformer", seed, "beam5.test", bleu(AT[seed]))
        measurement(tmp_path / "m", "grammar_ende", "vanilla_raw", seed, "argmax.test", bleu(NAT[seed]))
        measurement(tmp_path / "m", "grammar_ende", "transformer", seed, "loss", bits(2.0, 0.0))
        measurement(tmp_path / "m", "grammar_ende", "vanilla_raw", seed, "loss", bits(3.0 + seed / 10, 0.5))
    write_json(tmp_path / "c/grammar_ende/text/exact.json", {"conditional_tc": 1.25})
    return tmp_path


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A whole small run with its report, to be read; `changed` is its copy."""
    return runs.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def changed(whole, tmp_path):
    """A whole small run with its report, to be changed."""
    return whole.copy(tmp_path)
