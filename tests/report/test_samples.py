"""Values with what they could have been: of cells, of derived columns, and how far seeds lie apart."""

import numpy as np
import pytest

from natlab.files import write_json
from natlab.papers import cells
from natlab.report import bootstrap
from natlab.report.samples import Sampler, deviations

RUN = {"run": "r", "scale": "demo", "seeds": [1, 2], "corpora": {"one": "ds"}}
SPEC = {
    "cell": {"corpus": "one", "decoding": "argmax"},
    "columns": [
        {"key": "at", "label": "AT", "cell": {"metric": "bleu_tok", "system": "at"}},
        {"key": "nat", "label": "NAT", "cell": {"metric": "bleu_tok", "system": "nat"}},
        {"key": "gap", "label": "gap", "minus": ["at", "nat"]},
        {"key": "ratio", "label": "ratio", "divide": ["at", "nat"]},
        {"key": "l_target", "label": "L_target", "cell": {"metric": "l_target", "system": "nat", "beta": 0.2}},
        {"key": "l_input", "label": "L_input", "cell": {"metric": "l_input", "system": "nat"}},
        {"key": "all", "label": "all", "sum": ["l_target", "l_input"]},
        {"key": "mean", "label": "mean", "mean": ["at", "nat"]},
        {"key": "exact", "label": "exact", "cell": {"metric": "exact/conditional_tc"}},
        {"key": "text", "label": "text"},
    ],
    "rows": [{"label": "row", "by_definition": {"l_input": 0.25}}],
}


def measure(folder, system, seed, name, metric, value, statistics):
    file = {"values": {metric: {"value": value}}, "sentence_statistics": {metric: statistics}}
    write_json(folder / f"m/ds/demo/{system}/seed{seed}/{name}.json", file)


@pytest.fixture
def sampler(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.integers(0, 80, 30)
    for seed in (1, 2):
        for system, more in (("at", 20), ("nat", 0)):
            correct = (hard + more).tolist()
            statistics = [[right] * 4 + [100] * 4 + [100, 100] for right in correct]
            measure(tmp_path, system, seed, "argmax.test", "bleu_tok", np.mean(correct), statistics)
        each = rng.uniform(20, 40, 30).tolist()
        measure(tmp_path, "nat", seed, "target", "target_bleu", np.mean(each), each)
    write_json(tmp_path / "c/ds/text/exact.json", {"conditional_tc": 0.9})
    apart = {("ds", "bleu_tok"): 0.5, ("ds", "target_bleu"): 2.0}
    return Sampler(RUN, tmp_path / "m", tmp_path / "c", apart)


def test_a_difference_is_taken_draw_by_draw(sampler):
    """The gap is the same in all sentences, so that no draw of them changes it; each side varies."""
    gap, at = (sampler.column(SPEC, 0, key) for key in ("gap", "at"))
    assert set(gap.by_seed) == {1, 2} and gap.sentences
    assert gap.by_seed[1] == pytest.approx(20) and at.by_seed[1].std() > 2
    assert at.by_seed[1].shape == (1 + bootstrap.RESAMPLES,)
    ratio = sampler.column(SPEC, 0, "ratio").by_seed[2]
    assert ratio[0] == pytest.approx(at.by_seed[2][0] / (at.by_seed[2][0] - 20)) and ratio.std() > 0


def test_the_same_sentences_are_resampled_alike_and_others_on_their_own(sampler, tmp_path):
    """Of two buckets as large as each other, each is the same in two systems, but not the one in the other."""
    each = list(range(40))
    for system in ("at", "nat"):
        for seed in (1, 2):
            file = {"values": {}, "sentence_statistics": {}}
            for bucket in ("1-9", "10-19"):
                file["values"][f"bleu_tok/{bucket}"] = {"value": np.mean(each)}
                file["sentence_statistics"][f"bleu_tok/{bucket}"] = each
            write_json(tmp_path / f"m/ds/demo/{system}/seed{seed}/lpd5.test.json", file)
    short, again, longer = (
        sampler.cell(cells.resolved({"metric": f"bleu_tok/{b}", "corpus": "one", "system": s, "decoding": "lpd5"}, RUN))
        for s, b in (("at", "1-9"), ("nat", "1-9"), ("at", "10-19"))
    )
    assert short.by_seed[1] == pytest.approx(again.by_seed[1]) and short.by_seed[1].std() > 0
    assert abs(np.corrcoef(short.by_seed[1], longer.by_seed[1])[0, 1]) < 0.1


def test_a_value_that_follows_from_what_a_row_is_does_not_vary(sampler):
    fixed, exact = (sampler.column(SPEC, 0, key) for key in ("l_input", "exact"))
    assert fixed.over([1, 2]) == pytest.approx(0.25) and exact.over([1]) == pytest.approx(0.9)
    assert fixed.sentences and exact.sentences and not fixed.noise.any()
    target, both = (sampler.column(SPEC, 0, key) for key in ("l_target", "all"))
    assert both.by_seed[1] == pytest.approx(target.by_seed[1] + 0.25) and both.noise == pytest.approx(target.noise)


def test_a_mean_is_taken_draw_by_draw(sampler):
    at, nat, mean = (sampler.column(SPEC, 0, key) for key in ("at", "nat", "mean"))
    assert mean.by_seed[2] == pytest.approx((at.by_seed[2] + nat.by_seed[2]) / 2)
    assert mean.noise == pytest.approx((at.noise + nat.noise) / 2) and mean.sentences


def test_one_seed_has_the_noise_of_its_readings(sampler):
    """L_target is −β times a BLEU; a gap has two readings, so √2 times the deviation of one."""
    gap, target = (sampler.column(SPEC, 0, key) for key in ("gap", "l_target"))
    assert target.noise[0] == 0 and target.noise[1:].std() == pytest.approx(0.2 * 2)
    assert gap.noise[1:].std() == pytest.approx(0.5 * 2**0.5, rel=0.1)
    assert gap.over([1])[1:].std() == pytest.approx(gap.noise[1:].std()) and gap.over([1])[0] == pytest.approx(20)
    assert gap.over([1, 2]) == pytest.approx(20)  # two seeds say themselves how far they lie apart
    assert sampler.column(SPEC, 0, "ratio").noise is None


def test_a_search_among_models_is_not_resampled(sampler, tmp_path):
    """The smallest Transformer that reaches a NAT's BLEU, in % of its parameters (MPLE, Table 5)."""
    for system, size in (("at", 3e6), ("nat", 6e6)):
        for seed in (1, 2):
            measure(tmp_path, system, seed, "loss", "parameters", size, None)
    against = {"systems": ["at"], "decoding": "argmax"}
    described = {"metric": "bracket/ratio_to", "corpus": "one", "system": "nat", "decoding": "argmax"}
    found = sampler.cell(cells.resolved({**described, "against": against}, RUN))
    assert found.by_seed[1] == pytest.approx(50) and not found.sentences and found.noise is None


def test_nothing_measured(sampler):
    assert sampler.column(SPEC, 0, "text") is None
    cell = cells.resolved({"metric": "bleu_tok", "corpus": "one", "system": "other", "decoding": "argmax"}, RUN)
    assert sampler.cell(cell) is None


def test_deviations_are_pooled_over_what_is_alike(tmp_path):
    """Two groups of variances 1 (three seeds) and 8 (two): (2 · 1 + 1 · 8) / 3. A third group no seed changes."""
    lines = ["dataset,scale,system,seed,decoding,split,metric,value"]
    groups = {
        "a,{},argmax,test": (1, 2, 3),
        "b,{},argmax,test": (2, 6),
        "c,{},argmax,test": (5, 5),
        "a,{},lpd3,test": (9,),
    }
    for group, values in groups.items():
        lines += [f"ds,demo,{group.format(seed)},bleu,{value}" for seed, value in enumerate(values, 1)]
    lines += ["ds,demo,c,1,argmax,test,chrf,5", "ds,demo,c,2,argmax,test,chrf,5"]
    (tmp_path / "one.csv").write_text("\n".join(lines))
    assert deviations([tmp_path / "one.csv"]) == {("ds", "bleu"): pytest.approx((10 / 3) ** 0.5)}
    # seeds of two runs are not compared with each other, their deviations are pooled
    (tmp_path / "two.csv").write_text(
        "\n".join([lines[0], "ds,demo,a,1,argmax,test,bleu,50", "ds,demo,a,2,argmax,test,bleu,52"])
    )
    both = deviations([tmp_path / "one.csv", tmp_path / "two.csv"])
    assert both == {("ds", "bleu"): pytest.approx((12 / 4) ** 0.5)}
