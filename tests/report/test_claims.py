"""Claims tested on measurements: what holds, is refuted, is undecided or not measured; and claims that are refused."""

import argparse
import copy
import csv
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from natlab.errors import UserError
from natlab.files import write_json
from natlab.papers import claims as stated_claims
from natlab.papers.labels import UNLABELLED
from natlab.report import bootstrap, claims, correlation, tables
from natlab.report.claims import HOLDS, REFUTED, UNDECIDED, UNMEASURED
from natlab.report.samples import Sample

RUN = {
    "run": "r",
    "scale": "demo",
    "seeds": [1, 2],
    "corpora": {"one": "ds1", "two": "ds2", "three": "ds3"},
    "tables": ["p/table1"],
}
TABLE = {
    "table": "Table 1",
    "paper": "P",
    "title": "T",
    "columns": [
        {"key": "loss", "label": "L", "cell": {"metric": "loss", "system": "nat"}},
        {"key": "bleu", "label": "BLEU", "cell": {"metric": "bleu_tok", "system": "nat", "decoding": "argmax"}},
        {"key": "other", "label": "other", "cell": {"metric": "bleu_tok", "system": "nat", "decoding": "lpd3"}},
    ],
    "rows": [{"label": name, "cell": {"corpus": name}} for name in ("one", "two", "three", "four")],
}
STATED = {
    "paper": "P",
    "title": "Claims",
    "cell": {"corpus": "one", "metric": "bleu_tok", "decoding": "argmax"},
    "claims": [
        {
            "id": "a",
            "claim": "A claim",
            "source": "section 1",
            "parts": [
                {"says": "in order", "order": {"table": "p/table1", "x": "loss", "y": "bleu"}},
                {
                    "says": "correlated",
                    "correlation": {"table": "p/table1", "x": "loss", "y": "bleu", "at_most": -0.9},
                },
                {
                    "says": "weaker",
                    "correlation": {"table": "p/table1", "x": "loss", "y": "other", "weaker_than": "bleu"},
                },
            ],
        },
        {
            "id": "b",
            "claim": "Another claim",
            "source": "section 2",
            "parts": [
                {
                    "says": "better",
                    "comparison": {"higher": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}]},
                }
            ],
        },
    ],
}


def measure(folder, dataset, system, seed, name, values, statistics=None):
    file = {"sentences": 40, "values": {key: {"value": value} for key, value in values.items()}}
    if statistics is not None:
        file["sentence_statistics"] = {key: statistics for key in values}
    write_json(folder / "m" / dataset / "demo" / system / f"seed{seed}" / f"{name}.json", file)


def bleu(score, n=40, spread=0):
    """Statistics of sentences of this BLEU, every other one better and the next worse by ``spread``."""
    off = [spread if number % 2 else -spread for number in range(n)]
    return [[round(10 * (score + o))] * 4 + [1000] * 4 + [1000, 1000] for o in off]


def rows(folder, losses, bleus, others=(1.0, 2.0, 4.0, 5.0), spread=0.0):
    """A table's values, with statistics of as good sentences and little difference between seeds."""
    for n, (loss, score, other) in enumerate(zip(losses, bleus, others, strict=False), 1):
        for seed in (1, 2):
            of_sentences = [[loss * 10 + (spread if i % 2 else -spread), 10] for i in range(40)]
            measure(folder, f"ds{n}", "nat", seed, "loss", {"loss": loss}, of_sentences)
            for name, value in (("argmax", score), ("lpd3", other)):
                value += seed / 10
                measure(folder, f"ds{n}", "nat", seed, f"{name}.test", {"bleu_tok": value}, bleu(value))


def results(folder, stated=STATED, run=RUN):
    (folder / "papers/p").mkdir(parents=True, exist_ok=True)
    (folder / "papers/p/table1.yaml").write_text(yaml.safe_dump(TABLE))
    (folder / "papers/p/claims.yaml").write_text(yaml.safe_dump(stated))
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    parser = argparse.ArgumentParser()
    claims.add_arguments(parser)
    given = f"--claims {folder}/papers/p/claims.yaml --run {folder}/run.yaml --measurements {folder}/m"
    more = f"--corpora {folder}/c --papers {folder}/papers --reports {folder}/reports --out {folder}/out"
    claims.run(parser.parse_args([*given.split(), *more.split()]))
    return {(part.claim, part.part): part for part in claims.read_csv(folder / "out.csv")}


def compared_as(**comparison):
    """The claims with another comparison."""
    stated = copy.deepcopy(STATED)
    stated["claims"][1]["parts"][0]["comparison"] = comparison
    return stated


def seeds_apart(folder, run, apart, dataset="ds1", metric="bleu_tok"):
    """A report in which three seeds lie ``apart`` from one another: their standard deviation."""
    lines = ["dataset,scale,system,seed,decoding,split,metric,value"]
    for system, mean in (("p", 10), ("q", 20)):
        values = enumerate((mean - apart, mean, mean + apart), 1)
        lines += [f"{dataset},demo,{system},{seed},argmax,test,{metric},{value}" for seed, value in values]
    path = folder / "reports" / run / "measurements.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_nothing_measured(tmp_path):
    found = results(tmp_path)
    assert len(found) == 4 and {part.verdict for part in found.values()} == {UNMEASURED}
    assert all(part.statistic is None and part.confidence is None and part.low is None for part in found.values())


def test_an_order_holds_when_all_pairs_are_in_order(tmp_path):
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 30.0, 20.0])
    part = results(tmp_path)["a", 1]
    assert (part.verdict, part.statistic, part.confidence, part.seeds) == (HOLDS, 1, 1, "1 2")
    assert part.measured == "ds1: 1.00, 10.15; ds3: 2.00, 20.15; ds2: 3.00, 30.15"
    assert part.rests_on == "test sentences; 2 seeds" and (part.low, part.high) == (1, 1)
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 16.0, 20.0])
    part = results(tmp_path)["a", 1]
    assert part.verdict == REFUTED and part.statistic == pytest.approx(2 / 3) and part.confidence < 0.05


def test_an_order_of_neighbours_within_their_noise_is_undecided(tmp_path):
    rows(tmp_path, [1.0, 2.0, 2.001], [10.0, 20.0, 30.0], spread=8)
    measure(tmp_path, "ds3", "nat", 1, "loss", {"loss": 2.001}, [[20.01 + 8 * (i % 3 - 1), 10] for i in range(39)])
    part = results(tmp_path)["a", 1]
    assert part.statistic == 1 and part.verdict == UNDECIDED and 0.05 < part.confidence < 0.95
    assert part.low == pytest.approx(2 / 3) and part.high == 1


def test_an_order_with_a_tie_is_undecided(tmp_path):
    rows(tmp_path, [1.0, 2.0, 2.0], [10.0, 20.0, 30.0])
    part = results(tmp_path)["a", 1]
    assert (part.verdict, part.confidence) == (UNDECIDED, 0.5)


def test_an_order_that_falls_is_the_other_one(tmp_path):
    stated = copy.deepcopy(STATED)
    stated["claims"][0]["parts"][0]["order"]["falls"] = True
    rows(tmp_path, [1.0, 3.0, 2.0], [30.0, 10.0, 20.0])
    assert results(tmp_path)["a", 1].verdict == REFUTED
    part = results(tmp_path, stated)["a", 1]
    assert (part.verdict, part.statistic) == (HOLDS, 1)


def four(folder, *columns):
    """Four rows, of which r has an interval."""
    rows(folder, *columns)
    return results(folder, run=RUN | {"corpora": RUN["corpora"] | {"four": "ds4"}})


def test_a_correlation_must_have_the_claimed_sign_and_an_interval(tmp_path):
    found = four(tmp_path, [1.0, 2.0, 3.0, 4.0], [30.0, 20.0, 10.0, 0.0])
    assert found["a", 2].verdict == HOLDS and found["a", 2].statistic == pytest.approx(-1, abs=1e-6)
    assert found["a", 3].verdict == HOLDS and "with BLEU" in found["a", 3].measured
    found = four(tmp_path, [1.0, 2.0, 3.0, 4.0], [1.0, 20.0, 30.0, 40.0], (1.0, 2.0, 3.0, 4.0))
    assert found["a", 2].verdict == REFUTED and found["a", 2].statistic > 0.95
    found = four(tmp_path, [1.0, 2.0, 3.0, 4.0], [30.0, 20.0, 12.0, 3.0], (9.0, 4.0, 8.0, 2.0))
    assert found["a", 2].verdict == HOLDS and found["a", 3].verdict == UNDECIDED
    assert found["a", 3].statistic > 0 and "Williams' t" in found["a", 3].rests_on


def test_r_of_few_rows_is_undecided(tmp_path):
    found = four(tmp_path, [1.0, 2.0, 3.0, 4.0], [30.0, 20.0, 14.0, 11.0])
    part = found["a", 2]
    assert part.statistic < -0.95 and part.verdict == UNDECIDED and part.rests_on == "4 rows"
    assert part.low < -0.99 and part.high > -0.9 and part.measured == "r −0.970"
    rows(tmp_path, [1.0, 2.0, 3.0], [30.0, 20.0, 11.0])
    part = results(tmp_path)["a", 2]
    assert (part.verdict, part.confidence, part.low) == (UNDECIDED, None, None) and part.statistic < -0.99


def test_a_swept_correlation_is_as_sure_as_its_least_sure_beta(tmp_path, monkeypatch):
    columns = [
        {"key": "target_bleu", "label": "S", "cell": {"metric": "bleu_tok", "system": "nat", "decoding": "lpd3"}},
        {"key": "l_target", "label": "L_target", "cell": {"metric": "length", "system": "nat"}},
        {"key": "l_mple", "label": "L_MPLE", "sum": ["loss", "l_target"]},
    ]
    sweep = {"target": "l_target", "bleu": "target_bleu", "published_beta": 1, "betas": [0, 1]}
    table = TABLE | {
        "columns": [*TABLE["columns"], *columns],
        "correlations": [{"x": "l_mple", "y": "bleu", "sweep": sweep}],
    }
    monkeypatch.setitem(globals(), "TABLE", table)
    stated = copy.deepcopy(STATED)
    spec = {"table": "p/table1", "x": "l_mple", "y": "bleu", "at_most": -0.8, "swept": True}
    stated["claims"][0]["parts"][1]["correlation"] = spec
    for n in range(1, 5):
        for seed in (1, 2):
            values = {"loss": float(-n), "length": -0.5 * (0, 9, 2, 7, 5)[n]}
            measure(tmp_path, f"ds{n}", "nat", seed, "loss", values)
            measure(tmp_path, f"ds{n}", "nat", seed, "argmax.test", {"bleu_tok": 10.0 * n})
            measure(tmp_path, f"ds{n}", "nat", seed, "lpd3.test", {"bleu_tok": float((0, 9, 2, 7, 5)[n])})
    part = results(tmp_path, stated, RUN | {"corpora": RUN["corpora"] | {"four": "ds4"}})["a", 2]
    # with β 0 L_MPLE is −n, of r −1; with β 1 it is −n less 9, 2, 7, 5
    r = np.corrcoef([-1 - 9, -2 - 2, -3 - 7, -4 - 5], [1, 2, 3, 4])[0, 1]
    assert part.statistic == pytest.approx(r) and part.verdict == UNDECIDED
    assert part.measured == f"r {r:.3f} at β 1, the weakest; 0: -1.000, 1: {r:.3f}".replace("-", "−")
    del sweep["betas"][1]
    assert results(tmp_path, stated, RUN | {"corpora": RUN["corpora"] | {"four": "ds4"}})["a", 2].verdict == HOLDS


def compared(folder, x, y, z, spread=0, seeds=(1, 2), apart=0.2):
    """Test BLEU of the three systems, the seeds ``apart``; of x every other sentence is worse."""
    for system, value in (("x", x), ("y", y), ("z", z)):
        for seed in seeds:
            score = value + (apart if system == "x" else 0) * (seed - np.mean(seeds))
            sentences = bleu(score, spread=spread if system == "x" else 0)
            measure(folder, "ds1", system, seed, "argmax.test", {"bleu_tok": score}, sentences)


def test_a_comparison_is_with_the_best_of_the_others(tmp_path):
    compared(tmp_path, 30, 20, 10)
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.seeds, part.rests_on) == (HOLDS, "1 2", "test sentences; 2 seeds")
    assert part.statistic == 10 and part.measured == "x (argmax) 30.00 against y (argmax) 20.00; z (argmax) 10.00"
    (tmp_path / "papers/labels.yaml").write_text("systems: {x: 'X-NAT, KD'}\ndecodings: {argmax: likeliest}\n")
    said = results(tmp_path)["b", 1].measured
    assert said == "X-NAT, KD (likeliest) 30.00 against y (likeliest) 20.00; z (likeliest) 10.00"
    # two seeds, 0.2 apart: 10 ± 6.31 · 0.1 by Student's t
    assert (part.low, part.high) == pytest.approx((10 - 0.631, 10 + 0.631), abs=0.2) and part.confidence > 0.98
    compared(tmp_path, 30, 20, 31)
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.statistic) == (REFUTED, -1) and part.confidence < 0.05


def test_lower_is_better_where_the_claim_says_so_and_by_is_a_margin(tmp_path):
    compared(tmp_path, 20, 30, 22)
    of = {"lower": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}]}
    part = results(tmp_path, compared_as(**of))["b", 1]
    assert (part.verdict, part.statistic) == (HOLDS, 2)
    assert results(tmp_path, compared_as(**of, by=5))["b", 1].verdict == REFUTED
    assert results(tmp_path, compared_as(**of, by=2))["b", 1].verdict == UNDECIDED
    higher = {"higher": {"system": "x"}, "than": [{"system": "z"}]}
    assert results(tmp_path, compared_as(**higher))["b", 1].verdict == REFUTED
    assert results(tmp_path, compared_as(**higher, by=-5))["b", 1].verdict == HOLDS  # within 5 of it


def test_differences_of_two_cells_are_compared(tmp_path):
    """x gains 10 over y where z gains 6 over v: on the same sentences, so that no draw of them changes either."""
    for seed in (1, 2):
        for system, value in (("x", 40.0), ("y", 30.0), ("z", 26.0), ("v", 20.0)):
            measure(tmp_path, "ds1", system, seed, "argmax.test", {"bleu_tok": value}, bleu(value, spread=5))
        measure(tmp_path, "ds2", "v", seed, "lpd3.test", {"bleu_tok": 21.0}, bleu(21.0))
    gains = [[{"system": "x"}, {"system": "y"}], [{"system": "z"}, {"system": "v"}]]
    part = results(tmp_path, compared_as(higher=gains[0], than=[gains[1]]))["b", 1]
    assert (part.verdict, part.statistic) == (HOLDS, pytest.approx(4))
    assert part.low == pytest.approx(part.high) == pytest.approx(4)
    assert part.measured == "x (argmax) less y (argmax) 10.00 against z (argmax) less v (argmax) 6.00"
    assert results(tmp_path, compared_as(lower=gains[0], than=[gains[1]]))["b", 1].verdict == REFUTED
    elsewhere = [{"system": "z"}, {"system": "v", "corpus": "two", "decoding": "lpd3"}]
    part = results(tmp_path, compared_as(higher=gains[0], than=[{"system": "v"}, elsewhere], by=-14))["b", 1]
    assert part.verdict == HOLDS and part.statistic == pytest.approx(-10)
    assert part.measured.endswith("against v (argmax) 20.00; z (argmax) less v (lpd3), two 5.00")
    gains[1][1]["system"] = "u"
    part = results(tmp_path, compared_as(higher=gains[0], than=[gains[1]]))["b", 1]
    assert (part.verdict, part.measured) == (UNMEASURED, "lacks z (argmax) less u (argmax)")


def test_a_difference_of_one_seed_has_the_noise_of_both(tmp_path):
    """Each gain has √2 times the deviation of one system, so that 2.8 times as much is 2.8 √2 · 1 = 3.96."""
    seeds_apart(tmp_path, "many", 1)
    for system, value in (("x", 40.0), ("y", 30.0), ("z", 26.0), ("v", 20.0)):
        measure(tmp_path, "ds1", system, 1, "argmax.test", {"bleu_tok": value}, bleu(value))
    stated = compared_as(higher=[{"system": "x"}, {"system": "y"}], than=[[{"system": "z"}, {"system": "v"}]])
    part = results(tmp_path, stated | {"deviation": ["many"]}, RUN | {"seeds": [1]})["b", 1]
    least = float(re.search(r"a difference below ([\d.]+) is undecided", part.rests_on)[1])
    assert least == pytest.approx(2.8 * 2**0.5, rel=0.05)


def test_so_many_times_as_high_or_as_low(tmp_path):
    compared(tmp_path, 60, 19, 25, apart=0)
    for comparison, verdict, statistic in (
        ({"higher": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}], "times": 2.3}, HOLDS, 2.4),
        ({"higher": {"system": "x"}, "than": [{"system": "y"}, {"system": "z"}], "times": 2.5}, REFUTED, 2.4),
        ({"lower": {"system": "y"}, "than": [{"system": "x"}], "times": 3}, HOLDS, 60 / 19),
        ({"lower": {"system": "y"}, "than": [{"system": "x"}, {"system": "z"}], "times": 3}, REFUTED, 25 / 19),
        ({"higher": {"system": "x"}, "than": [{"system": "y"}], "times": 0.5}, HOLDS, 60 / 19),
    ):
        part = results(tmp_path, compared_as(**comparison))["b", 1]
        assert part.verdict == verdict and part.statistic == pytest.approx(statistic)
    assert part.measured == "x (argmax) 60.00 against y (argmax) 19.00"


def test_what_is_never_measured_is_infinitely_lower(tmp_path):
    compared(tmp_path, 60, 0, 25, apart=0)
    part = results(tmp_path, compared_as(lower={"system": "y"}, than=[{"system": "x"}], times=12))["b", 1]
    assert part.verdict == HOLDS and part.statistic == part.low == part.high == np.inf


def test_a_difference_that_other_sentences_might_not_show_is_undecided(tmp_path):
    compared(tmp_path, 31, 30, 10, spread=30, apart=0)
    part = results(tmp_path)["b", 1]
    assert part.statistic == 1 and 0.5 < part.confidence < 0.95 and part.verdict == UNDECIDED
    assert part.low < 0 < part.high


def test_a_difference_that_other_seeds_might_not_show_is_undecided(tmp_path):
    compared(tmp_path, 31, 30, 10, apart=1)  # 0.5 and 1.5: t of 2 with one degree of freedom
    part = results(tmp_path)["b", 1]
    assert part.verdict == UNDECIDED and part.confidence == pytest.approx(0.852, abs=0.04)


def test_equal_systems_are_a_tie(tmp_path):
    compared(tmp_path, 30, 30, 10, apart=0)
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.confidence, part.statistic) == (UNDECIDED, 0.5, 0)


def test_seeds_alone_decide_where_there_are_no_statistics_of_sentences(tmp_path):
    for seed in (1, 2):
        for system, value in (("x", 2.0), ("y", 1.0), ("z", 1.5)):
            measure(tmp_path, "ds1", system, seed, "argmax.test", {"bleu_tok": value + seed})
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.rests_on, part.statistic) == (HOLDS, "2 seeds", 0.5)


def test_bare_values_of_one_seed_decide_nothing(tmp_path):
    seeds_apart(tmp_path, "many", 0.01)
    for system, value in (("x", 2.0), ("y", 1.0), ("z", 1.5)):
        measure(tmp_path, "ds1", system, 1, "argmax.test", {"bleu_tok": value})
    part = results(tmp_path, STATED | {"deviation": ["many"]})["b", 1]
    assert (part.verdict, part.confidence, part.low, part.statistic) == (UNDECIDED, None, None, 0.5)
    assert part.rests_on == "one value each, not resampled"


@pytest.mark.parametrize(
    ("difference", "apart", "verdict"),
    [(10, 3.5, HOLDS), (10, 3.6, UNDECIDED), (-10, 3.5, REFUTED), (-10, 3.6, UNDECIDED), (10, None, UNDECIDED)],
)
def test_what_one_seed_shows_must_exceed_2_8_deviations_of_others(tmp_path, difference, apart, verdict):
    compared(tmp_path, 30 + difference, 30, 10, seeds=(1,))
    if apart is not None:
        seeds_apart(tmp_path, "many", apart)
    part = results(tmp_path, STATED | {"deviation": ["many", "missing"]})["b", 1]
    assert (part.verdict, part.statistic, part.seeds) == (verdict, difference, "1")
    expected = "one seed, no deviation known of other runs' seeds"
    if apart is not None:
        expected = (
            f"one seed, with the deviation of other runs' seeds: a difference below {2.8 * apart:.2f} is undecided"
        )
    assert part.rests_on == f"test sentences; {expected}"


@pytest.mark.parametrize(("of_seeds", "of_sentences"), [(1, 0.1), (1, 1.5), (0.01, 1)])
def test_one_seed_of_equals_is_called_better_in_a_twentieth_of_cases_or_fewer(of_seeds, of_sentences):
    """Simulated: two equally good systems of which one seed was trained, and how far seeds lie apart is known."""
    rng = np.random.default_rng(0)
    drawn = {}
    sampler = SimpleNamespace(run=RUN | {"seeds": [1]}, cell=lambda quantity: drawn[quantity.readings[0].system])
    part = {"says": "better", "comparison": {"higher": {"system": "x"}, "than": [{"system": "y"}]}}
    stated = STATED | {"claims": [{"id": "b", "parts": [part]}]}
    verdicts = []
    for _ in range(1000):
        for system in "xy":
            values = rng.normal(0, of_seeds) + rng.normal(0, of_sentences * 5, 50)
            again = np.concatenate([[values.mean()], bootstrap.resampled(list(values), "test")])
            noise = np.concatenate([[0.0], bootstrap.noise(of_seeds, system)])
            drawn[system] = Sample({1: again}, noise, sentences=True)
        verdicts += [result.verdict for result in claims.results_of(stated, {}, sampler, UNLABELLED)]
    assert 0.01 < verdicts.count(HOLDS) / 1000 < 0.07 and 0.01 < verdicts.count(REFUTED) / 1000 < 0.07


def test_the_deviation_is_of_the_same_metric(tmp_path):
    compared(tmp_path, 40, 30, 10, seeds=(1,))
    seeds_apart(tmp_path, "many", 0.1, metric="chrf")
    assert results(tmp_path, STATED | {"deviation": ["many"]})["b", 1].verdict == UNDECIDED


@pytest.mark.parametrize(("own", "verdict"), [(None, UNDECIDED), (0.2, HOLDS)])
def test_where_a_dataset_has_no_deviation_of_its_own_it_is_the_largest_of_others(tmp_path, own, verdict):
    compared(tmp_path, 40, 30, 10, seeds=(1,))
    seeds_apart(tmp_path, "few", 0.1, dataset="ds2")
    seeds_apart(tmp_path, "many", 4, dataset="ds3")
    if own:
        seeds_apart(tmp_path, "own", own)
    assert results(tmp_path, STATED | {"deviation": ["few", "many", "own"]})["b", 1].verdict == verdict


def test_a_run_does_not_take_its_own_deviation_from_an_older_report(tmp_path):
    compared(tmp_path, 40, 30, 10, seeds=(1,))
    seeds_apart(tmp_path, RUN["run"], 0.1)
    assert results(tmp_path, STATED | {"deviation": [RUN["run"]]})["b", 1].verdict == UNDECIDED


def test_an_order_of_one_seed_is_tested_with_the_deviation_of_others(tmp_path):
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 30.0, 20.0])
    one = RUN | {"seeds": [1]}
    part = results(tmp_path, STATED, one)["a", 1]
    assert (part.verdict, part.rests_on) == (
        UNDECIDED,
        "test sentences; one seed, no deviation known of other runs' seeds",
    )
    for n, name in enumerate("uvw", 1):
        seeds_apart(tmp_path, name, 0.01, f"ds{n}", "loss")
        seeds_apart(tmp_path, f"{name}2", 1, f"ds{n}")
    stated = STATED | {"deviation": ["u", "v", "w", "u2", "v2", "w2"]}
    assert results(tmp_path, stated, one)["a", 1].verdict == HOLDS
    for n, name in enumerate("uvw", 1):
        seeds_apart(tmp_path, f"{name}2", 10, f"ds{n}")
    part = results(tmp_path, stated, one)["a", 1]
    assert part.verdict == UNDECIDED and 0.2 < part.confidence < 0.9


def test_losses_and_c_compare_by_their_sentences(tmp_path):
    """C of two models' losses, with each of which the sentences' parts are drawn alike."""
    hard = [(n % 5) * 8.0 for n in range(40)]  # what differs between sentences, and is the same for both models
    for seed in (1, 2):
        for system, raw in (("at", 20.0), ("nat", 44.0)):
            of_sentences = [[raw + h, 10] for h in hard]
            mean = (raw + np.mean(hard)) / 10
            values = {"loss_raw": mean + seed / 1000, "length_raw": mean}
            measure(tmp_path, "ds1", system, seed, "loss", values, of_sentences)
        measure(tmp_path, "ds1", "kd", seed, "loss", {"loss": 3.9 + seed / 1000}, [[39.0, 10]] * 40)
    c = {"metric": "conditional_tc", "systems": {"at": "at", "nat": "nat"}}
    stated = compared_as(higher=c, than=[{"metric": "loss", "system": "kd"}])
    part = results(tmp_path, stated)["b", 1]
    # (4.4 + 1.6) + (4.4 + 1.6) − (2.0 + 1.6) − 3.9 bits a token
    assert part.statistic == pytest.approx(6 + 6 - 3.6 - 3.9, abs=0.01) and part.verdict == HOLDS
    assert part.measured.startswith("C of at and nat 8.40 against kd 3.90")
    # of C only the length's part varies, by 1.13 / sqrt(40) bits
    assert part.high - part.low == pytest.approx(2 * 1.645 * np.std(hard) / 10 / 40**0.5, rel=0.2)


def test_a_comparison_with_a_system_that_was_not_measured_says_which(tmp_path):
    measure(tmp_path, "ds1", "x", 1, "argmax.test", {"bleu_tok": 2.0})
    measure(tmp_path, "ds1", "z", 1, "argmax.test", {"bleu_tok": 1.0})
    part = results(tmp_path)["b", 1]
    assert (part.verdict, part.measured) == (UNMEASURED, "lacks y (argmax)")


def test_how_many_tests_were_made_and_how_many_false_holds_to_expect(tmp_path):
    compared(tmp_path, 30, 20, 10)
    results(tmp_path)
    assert "- 1 of 4 parts were tested." in (tmp_path / "out.md").read_text()
    rows(tmp_path, [1.0, 3.0, 2.0], [10.0, 30.0, 20.0])
    results(tmp_path)
    text = (tmp_path / "out.md").read_text()
    assert "- 4 of 4 parts were tested. Were all these claims mere ties, 5% of the tests or fewer, 0.2, would" in text
    with open(tmp_path / "out.csv", newline="") as file:
        assert {(line["tests"], line["false_holds"]) for line in csv.DictReader(file)} == {("4", "0.2")}


def test_markdown_has_each_claim_with_its_parts(tmp_path):
    compared(tmp_path, 30, 20, 10)
    results(tmp_path)
    text = (tmp_path / "out.md").read_text()
    assert "### (a) A claim" in text and "### (b) Another claim" in text
    assert "| better | **holds** | x (argmax) 30.00 against" in text
    shown = r"\| 10.00 \| \d+\.\d % \| 9\.\d\d to 10\.\d\d \| test sentences; 2 seeds \| 1 2 \|"
    assert re.search(shown, text)


def test_claims_about_a_column_that_the_table_lacks_are_refused(tmp_path):
    stated = copy.deepcopy(STATED)
    stated["claims"][0]["parts"][0]["order"].update(x="los")
    with pytest.raises(UserError, match="claims.yaml: claim a, part 1: x: .*'los'.*loss, bleu"):
        results(tmp_path, stated)


def test_markdown_shows_any_text_as_it_stands(tmp_path):
    stated = copy.deepcopy(STATED)
    stated["claims"][1]["claim"] = "A * and <b>"
    stated["claims"][1]["parts"][0]["says"] = "a | b is *better*"
    compared(tmp_path, 30, 20, 10)
    results(tmp_path, stated)
    text = (tmp_path / "out.md").read_text()
    assert r"### (b) A * and \<b>" in text and r"| a \| b is \*better\* | **holds** |" in text


HAND = [
    claims.Result("a", 1, "x is best", "holds", "x 3.00 against y 1.00", 2.0, 0.975, 1.25, 2.5, "2 seeds", "1 2"),
    claims.Result("a", 2, "y | z", "refuted", "y 1.00", -0.5, 0.0, None, None, "9 rows", "1"),
    claims.Result("b", 1, "nothing", "not measured"),
]
OF_HAND = {
    "title": "What *it* says", "paper": "MPLE: a paper",
    "claims": [
        {"id": "a", "claim": "First", "source": "section 1"}, {"id": "b", "claim": "Second", "source": "Table 2"},
    ],
}  # fmt: skip


def test_claims_in_markdown_word_by_word():
    head = "|  | verdict | measured | statistic | agree | 90 % interval | rests on | seeds |"
    rule = "|---|---|---|---:|---:|---:|---|---|"
    assert claims.markdown(OF_HAND, HAND, RUN).splitlines() == [
        r"## What \*it\* says", "", "MPLE: a paper.", "",
        "### (a) First", "", "Section 1.", "", head, rule,
        "| x is best | **holds** | x 3.00 against y 1.00 | 2.00 | 97.5 % | 1.25 to 2.50 | 2 seeds | 1 2 |",
        r"| y \| z | **refuted** | y 1.00 | −0.50 | 0.0 % | – | 9 rows | 1 |", "",
        "### (b) Second", "", "Table 2.", "", head, rule,
        "| nothing | **not measured** |  | – | – | – |  |  |",
        f"- Run {RUN['run']}, scale {RUN['scale']}; values are means over the seeds named.",
        "- 2 of 3 parts were tested. Were all these claims mere ties, 5% of the tests or fewer, 0.1, would still be "
        "expected to come out as “holds”.",
        "- A part holds if at least 95% of resamples agree, is refuted if at most 5% do, and else undecided; ties "
        "count half.",
        "- Statistic: the share of pairs of rows that are in order; Pearson's r, or by how much it is above the other; "
        "how far the first value is above the highest of the others, or below the lowest, or how many times as high or "
        "as low it is where that is claimed.",
        "- Agree: the share of 1000 resamples of the test sentences (paired bootstrap) and the seeds (Student's t); "
        "for r the confidence by Fisher's z over the rows, for a weaker r by Williams' t.",
        "- One seed: a difference below 2.8 times the deviation that runs with several seeds have had on its dataset"
        " is undecided; where none has had one there, below the largest on another; where none has, all are.",
    ]  # fmt: skip
    assert claims.markdown(OF_HAND, HAND, RUN).endswith("\n")


def test_claims_as_csv_and_back(tmp_path):
    claims.write_csv(HAND, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes().decode().split("\n") == [
        "claim,part,says,verdict,measured,statistic,confidence,low,high,rests_on,seeds,tests,false_holds",
        "a,1,x is best,holds,x 3.00 against y 1.00,2.0,0.975,1.25,2.5,2 seeds,1 2,2,0.1",
        "a,2,y | z,refuted,y 1.00,-0.5,0.0,,,9 rows,1,2,0.1",
        "b,1,nothing,not measured,,,,,,,,2,0.1",
        "",
    ]
    assert claims.read_csv(tmp_path / "c.csv") == HAND


def test_the_last_bits_of_a_sum_do_not_show(tmp_path):
    found = [replace(HAND[0], statistic=sum(order)) for order in ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1))]
    assert found[0] != found[1]
    for number, part in enumerate(found):
        claims.write_csv([part], tmp_path / f"{number}.csv")
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()


def test_the_weakest_of_several_r_counts_whatever_its_beta(monkeypatch):
    found = {beta: correlation.Correlation(r, 9, None) for beta, r in ((0.2, -0.9), (0.1, -0.5), (0.5, -0.7))}
    monkeypatch.setattr(correlation, "sweep", lambda table, swept, kind: found)
    table = tables.Table({"correlations": [{"x": "i", "y": "j"}, {"x": "x", "y": "y", "sweep": {}}]}, RUN, {})
    result = claims._at_most({"x": "x", "y": "y", "swept": True, "at_most": -0.8}, table)
    assert result["statistic"] == -0.5 and result["rests_on"] == "9 rows"
    assert result["measured"] == "r −0.500 at β 0.1, the weakest; 0.2: −0.900, 0.1: −0.500, 0.5: −0.700"
    low, high = correlation.interval(-0.5, 9, 0.9)
    assert (result["low"], result["high"]) == (low, high)
    assert result["confidence"] == correlation.confidence_at_most(found[0.1], -0.8)


def test_the_arguments():
    parser = argparse.ArgumentParser()
    claims.add_arguments(parser)
    given = "--claims c --run r --measurements m --corpora o --out u".split()
    fewest = {
        "claims": "c", "run_file": "r", "measurements": "m", "corpora": "o", "out": "u",
        "papers": "config/papers", "reports": "reports",
    }  # fmt: skip
    assert vars(parser.parse_args(given)) == fewest
    more = parser.parse_args([*given, "--papers", "p", "--reports", "s"])
    assert vars(more) == fewest | {"papers": "p", "reports": "s"}
    for at in range(0, len(given), 2):
        with pytest.raises(SystemExit):
            parser.parse_args(given[:at] + given[at + 2 :])


@pytest.mark.parametrize("role", ["x", "y", "weaker_than"])
def test_a_claim_about_a_column_that_is_not_there_is_refused(role):
    stated = copy.deepcopy(STATED)
    stated_claims.check_columns("f.yaml", stated, "p/table1", TABLE)
    stated["claims"][0]["parts"][2]["correlation"][role] = "blue"
    with pytest.raises(UserError, match=f"f.yaml: claim a, part 3: {role}: .*'blue'.*loss, bleu, other"):
        stated_claims.check_columns("f.yaml", stated, "p/table1", TABLE)
    stated_claims.check_columns("f.yaml", stated, "p/another", TABLE)


def test_a_weaker_correlation_says_both_and_what_it_rests_on(monkeypatch):
    table = tables.Table({"columns": [{"key": "z", "label": "Sample"}]}, RUN, {})
    first, second = correlation.Correlation(-0.25, 3, None), correlation.Correlation(-0.75, 3, None)
    for t, confidence, rests_on in ((None, None, "3 rows"), (2.5, 0.9, "3 rows; Williams' t 2.50")):
        found = correlation.Weaker(first, second, t, confidence)
        monkeypatch.setattr(correlation, "weaker", lambda *given, found=found: found)
        assert claims._weaker({"x": "x", "y": "y", "weaker_than": "z"}, table) == {
            "measured": "r −0.250; with Sample −0.750", "statistic": 0.5, "confidence": confidence,
            "rests_on": rests_on,
        }  # fmt: skip


def test_a_correlation_names_the_seeds_of_the_column_it_is_with(monkeypatch):
    entries = {
        (0, "x"): tables.Entry(seeds=(1, 2, 3)),
        (0, "y"): tables.Entry(seeds=(2,)),
        (1, "y"): tables.Entry(seeds=(1,)),
    }
    monkeypatch.setattr(claims, "_at_most", lambda spec, table: {"confidence": 0.99})
    found = claims._correlation({"x": "x", "y": "y", "at_most": 0}, tables.Table({}, RUN, entries))
    assert found == {"verdict": HOLDS, "confidence": 0.99, "seeds": "1 2"}
