"""The criterion: what training minimises, what it logs, and how logs of several batches are put together."""

import json
from dataclasses import replace
from math import log
from types import SimpleNamespace

import pytest
import torch
from tests import plain

from natlab import compat

compat.apply()

from fairseq.logging import metrics  # noqa: E402

from natlab.losses.batch import Method, Timed, batch_loss  # noqa: E402
from natlab.losses.interface import SHARE, Added, Value  # noqa: E402
from natlab.models.transformer import Config, Transformer  # noqa: E402
from natlab.training import criterion, lineage  # noqa: E402
from natlab.training.curve import Curve  # noqa: E402

CONFIG = Config(16, 32, 1, 1, 2, 0.0, 12, 12, True)
SOURCE = torch.tensor([[4, 5, 6, 2], [7, 8, 2, 1]])
TARGET = torch.tensor([[9, 10, 2, 1, 1], [4, 5, 6, 7, 2]])
SAMPLE = {"net_input": {"src_tokens": SOURCE}, "target": TARGET}
GLAT = plain.spec(input={"name": "glat", "start": 1.0, "end": 0.0})
MASKING = {**GLAT, "terms": [{"name": "length"}, {"name": "masking"}]}
TRAINING = {"training": {"updates": 50, "label_smoothing": 0.1}}


def run(make, spec, updates, training=True, sample=SAMPLE, **options):
    """(what the criterion returns, the model, how it learns) of a model after so many updates."""
    torch.manual_seed(0)
    net, method = make(CONFIG, **options), Method.of(spec)
    made = criterion.NatlabCriterion(SimpleNamespace(spec={**spec, **TRAINING}, method=method))
    model = SimpleNamespace(net=net, updates=updates, training=training)
    torch.manual_seed(1)
    return made(model, sample), net, method


@pytest.mark.parametrize("updates, progress", [(0, 0.0), (20, 0.4), (50, 1.0), (60, 1.0)])
@pytest.mark.parametrize("training, smoothing", [(True, 0.1), (False, 0.0)])
def test_the_loss_is_the_batchs_at_the_share_of_training_that_is_done(updates, progress, training, smoothing):
    (loss, size, logged), net, method = run(plain.nat, MASKING, updates, training, masking=True)
    torch.manual_seed(1)
    expected = batch_loss(net, SOURCE, TARGET, method, progress, smoothing)
    torch.testing.assert_close(loss, expected.loss)
    assert loss.requires_grad and not logged["loss"].requires_grad
    assert size == logged["sample_size"] == int(expected.predicted.sum())
    assert logged["loss"] == expected.loss and set(expected.values) == {"nll", "length", "masked"}
    for name, value in expected.values.items():
        assert logged[f"sum of {name}_loss"] == value.sums.sum() > 0 and logged[f"count of {name}_loss"] == 6
    assert (logged["ntokens"], logged["nsentences"]) == (6, 2)
    assert not any(key.startswith("lineage_") for key in logged)


def test_a_glancing_model_is_shown_less_as_training_goes_on():
    sizes = [run(plain.nat, GLAT, updates)[0][1] for updates in (0, 25, 50)]
    assert sizes[0] < sizes[1] < sizes[2] == 6


def test_an_infinite_loss_is_not_a_number_so_that_its_update_is_skipped():
    spec = {"architecture": {"name": "transformer"}, "target": {"name": "raw"}, "input": {"name": "vanilla"}}
    (loss, size, _), net, _ = run(Transformer, spec, 0)
    assert loss.isfinite() and size == 8
    made = criterion.NatlabCriterion(SimpleNamespace(spec={**spec, **TRAINING}, method=None))
    net.token_loss = lambda hidden, target, smoothing: (torch.tensor(torch.inf), torch.zeros(len(target)))
    assert made(SimpleNamespace(net=net, updates=0, training=True), SAMPLE)[0].isnan()


def test_dynamic_kd_logs_which_candidate_supplied_each_target_by_its_length():
    candidates = torch.full((2, 2, 11), 1)
    candidates[0, 0, :2], candidates[0, 1, :1] = torch.tensor([9, 10]), 9
    candidates[1, 0, :11], candidates[1, 1, :4] = 4, torch.tensor([4, 5, 6, 7])
    bleu = torch.tensor([[[100.0, 0], [0, 0]], [[0, 0], [0, 100.0]]])
    given = {"candidates": candidates, "bleu": bleu, "gamma": torch.ones(2)}
    spec = {**GLAT, "target": {"name": "dynamic", "beta": 99.0}}
    (_, _, logged), _, _ = run(plain.nat, spec, 0, sample={**SAMPLE, "candidates": given})
    supplied = [logged[f"lineage_{i}"] for i in range(2 * (len(lineage.LONGEST) + 1))]
    assert supplied == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]  # the first sentence's first candidate, the second's second
    assert (logged["ntokens"], logged["sample_size"] < 6) == (6, True)


def reduced(*batches):
    """What the log of an epoch says, of batches' logging outputs, reduced one after another."""
    with metrics.aggregate(new_root=True) as meters:
        for outputs in batches:
            criterion.NatlabCriterion.reduce_metrics(outputs)
    return meters.get_smoothed_values()


def output(loss, nll, length, masked, ntokens, sample_size, **more):
    """A batch's log; None for a loss that there is not."""
    made = dict(loss=torch.tensor(loss), ntokens=ntokens, sample_size=sample_size, nsentences=1, **more)
    for name, value in (("nll_loss", nll), ("length_loss", length), ("masked_loss", masked)):
        if value is not None:
            made |= {f"sum of {name}": torch.tensor(value), f"count of {name}": ntokens}
    return made


FIRST, SECOND = output(8.0, 6.0, 3.0, 1.0, 10, 4), output(1.0, 2.0, 1.0, 2.0, 30, 12)


@pytest.mark.parametrize("batches", [[[FIRST, SECOND]], [[FIRST], [SECOND]]])
def test_losses_are_bits_a_token_over_all_tokens_however_the_batches_are_cut(batches):
    found = reduced(*batches)
    assert found["loss"] == pytest.approx(9 / 16 / log(2), abs=1e-5)  # a prediction
    assert found["nll_loss"] == pytest.approx(8 / 40 / log(2), abs=1e-5)
    assert found["length_loss"] == pytest.approx(4 / 40 / log(2), abs=1e-5)
    assert found["masked_loss"] == pytest.approx(3 / 40 / log(2), abs=1e-5)
    assert "lineage" not in found


def test_what_there_is_none_of_is_not_logged_and_a_batch_without_tokens_is_none_at_all():
    found = reduced([output(0.0, 0.0, 0.0, None, 0, 0)])
    assert "masked_loss" not in found and found["loss"] == found["nll_loss"] == found["length_loss"] == 0
    without = {key: value for key, value in FIRST.items() if "masked" not in key}
    assert "masked_loss" not in reduced([without])
    assert reduced([without, SECOND])["masked_loss"] == pytest.approx(2 / 30 / log(2), abs=1e-5)


class Made:
    """A term with a loss and a share of made-up names."""

    weight = 1.0

    def __call__(self, batch):
        zeros = torch.zeros(2)
        return Added(
            zeros.sum(), {"made_up": Value(zeros + 3, batch.lengths), "seen": Value(zeros + 1, 2 + zeros, SHARE)}
        )


def test_what_a_term_finds_is_logged_under_its_names_and_stands_in_the_curve(tmp_path, monkeypatch):
    """Two sentences of 3 nats each and six tokens; one of two in each."""
    method = replace(plain.method(), terms=[Timed(Made())])
    monkeypatch.setattr(Method, "of", lambda spec: method)
    (_, _, logged), _, _ = run(plain.nat, GLAT, 0)
    found = reduced([logged])
    assert found["made_up_loss"] == pytest.approx(6 / 6 / log(2), abs=1e-5) and found["seen_share"] == 0.5
    tracked = {}
    curve = Curve(tmp_path / "curve.jsonl", SimpleNamespace(log=lambda values, update: tracked.update(values)))
    curve.report("valid", 7, {**found, "ppl": 3.0})
    (line,) = map(json.loads, (tmp_path / "curve.jsonl").read_text().splitlines())
    assert line == {
        "subset": "valid", "num_updates": 7, "loss": pytest.approx(found["loss"]),
        "nll_loss": pytest.approx(found["nll_loss"]), "made_up_loss": pytest.approx(1 / log(2), abs=1e-5),
        "seen_share": 0.5,
    }  # fmt: skip
    assert {"valid/made_up_loss", "valid/seen_share"} < set(tracked)


def test_lineages_add_up_to_a_table_of_candidates_and_lengths():
    counts = [{f"lineage_{i}": step * i + 0.25 for i in range(10)} for step in (1, 10)]
    found = reduced([output(1.0, 1.0, 1.0, None, 1, 1, **counts[0])], [output(1.0, 1.0, 1.0, None, 1, 1, **counts[1])])
    assert found["lineage"] == [[0.5, 11.5, 22.5, 33.5, 44.5], [55.5, 66.5, 77.5, 88.5, 99.5]]


def test_processes_may_add_up_their_logs():
    assert criterion.NatlabCriterion.logging_outputs_can_be_summed() is True
