"""What is said with a share of the reference shown, of models whose every word is known."""

import pytest
import torch
import torch.nn.functional as F
from tests import plain
from tests.losses.objectives import canvas

from natlab import families
from natlab.decoding import decode
from natlab.kernels import use
from natlab.measuring.revealed import PERCENTS, revealed
from natlab.metrics.bleu import tokenised_bleu
from natlab.models.transformer import Config

SOURCES = [torch.tensor(ids) for ids in ([4, 5, 6, 7, 8, 2], [6, 7, 8, 2], [9, 2], [4, 4, 5, 2])]
TARGETS = [torch.tensor([*ids, 2]) for ids in ([4, 5, 6, 7] * 5, [8, 5, 6, 7, 4, 9, 4], [5], [6, 7, 8])]
XE, ARGMAX = families.load("objective", "xe"), {"kind": "argmax"}
WRONG = 10  # no target has it


@pytest.fixture(autouse=True)
def _kernels():
    with use("reference"):
        yield


def text(tokens):
    return " ".join(map(str, tokens.tolist()))


@pytest.fixture
def neighbours(monkeypatch):
    """A model that knows a token only beside one that it is shown, and what it was shown, by the target's tokens."""
    torch.manual_seed(0)
    model, seen = plain.nat(Config(12, 16, 1, 1, 2, 0.0, 12, 12, True)).eval(), {}
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(12))

    def states(source, lengths, revealed, target, memories):
        beside = F.pad(revealed, (1, 1))
        knows = beside[:, :-2] | beside[:, 2:]
        for row, shown in zip(target, revealed, strict=True):
            inside = row.ne(model.config.pad)
            seen.setdefault(text(row[inside]), []).append(shown[inside].tolist())
        return F.one_hot(target.where(knows, WRONG), 12).float()

    monkeypatch.setattr(model, "decode", states)
    return model, seen


def measured(model, sources=SOURCES, targets=TARGETS, objective=XE, decoding=ARGMAX, **options):
    """(the values, by percent what was said)."""
    said = []

    def heard(tokens):
        said.append(text(tokens))
        return said[-1]

    found = revealed(model, sources, targets, objective, decoding, heard, **options)
    return found, said[: len(said) - len(targets)]


def test_tokens_beside_shown_ones_are_right_and_those_shown_are_copied_but_do_not_count(neighbours):
    model, seen = neighbours
    found, _ = measured(model)
    for number, percent in enumerate(PERCENTS):
        said, right = [], []
        for target in TARGETS:
            tokens = target[:-1].tolist()
            shown = seen[text(target[:-1])][number]
            assert sum(shown) == int(percent * len(tokens) / 100 + 0.5)
            around = [False, *shown, False]
            knows = [before or after for before, after in zip(around, around[2:], strict=False)]
            said.append([t if s or k else WRONG for t, s, k in zip(tokens, shown, knows, strict=True)])
            right.append([100 * sum(k and not s for s, k in zip(shown, knows, strict=True)), shown.count(False)])
        bleu = tokenised_bleu([" ".join(map(str, s)) for s in said], [[text(target[:-1]) for target in TARGETS]])
        assert found[f"bleu/{percent}"]["value"] == pytest.approx(bleu["value"])
        accuracy = found[f"accuracy/{percent}"]
        assert accuracy["by_sentence"] == right and accuracy["unit"] == "%"
        assert accuracy["value"] == pytest.approx(sum(r for r, _ in right) / sum(n for _, n in right))
    assert found["accuracy/0"]["value"] == 0 < found["accuracy/50"]["value"] < 100


def test_what_is_shown_of_a_smaller_share_is_shown_of_a_larger_and_is_drawn_evenly(neighbours):
    model, seen = neighbours
    measured(model)
    for shown in seen.values():
        for less, more in zip(shown, shown[1:], strict=False):
            assert all(b or not a for a, b in zip(less, more, strict=True))
    seen.clear()
    many = [torch.tensor([4 + n % 7, 4 + n // 7 % 7, 4 + n // 49, 2]) for n in range(343)]
    targets = [torch.cat([source[:-1], source]) for source in many]  # each its own, of six tokens
    measured(model, many, targets)
    first = torch.tensor([shown[2] for shown in seen.values()]).double()  # 20 % of 6: one
    assert first.sum(1).eq(1).all()
    assert first.mean(0).tolist() == pytest.approx([1 / 6] * 6, abs=0.06)  # three deviations


@pytest.mark.parametrize("objective", ["xe", "dag"])
def test_it_does_not_depend_on_the_batch(objective):
    torch.manual_seed(1)
    model = (
        canvas.model("dag", factor=5) if objective == "dag" else plain.nat(Config(16, 32, 1, 1, 2, 0.1, 12, 12, True))
    )
    sources, targets = SOURCES, TARGETS
    if objective == "dag":
        sources, targets = [s.clamp(max=7) for s in SOURCES], [t.clamp(max=7) for t in TARGETS]
    kind = {"kind": "graph"} if objective == "dag" else ARGMAX
    of = {"objective": families.load("objective", objective), "decoding": kind}
    together, _ = measured(model.eval(), sources, targets, **of)
    alone, _ = measured(model, sources, targets, **of, max_tokens=1)
    for name, value in together.items():
        assert value["by_sentence"] == alone[name]["by_sentence"]


@pytest.mark.parametrize("blank", [False, True])
def test_with_nothing_shown_it_is_what_the_model_says_of_the_references_length(blank):
    torch.manual_seed(1)
    model = plain.nat(Config(16, 32, 1, 1, 2, 0.1, 12, 12, True), blank=blank).eval()
    if blank:  # at some positions ε is the likeliest
        with torch.no_grad():
            model.embedding.weight[model.config.bos] *= 3
    objective = families.load("objective", "axe", delta=5) if blank else XE
    found, _ = measured(model, objective=objective)
    decoding = {"kind": "argmax", "reference_length": True}
    lengths = [torch.tensor([len(target) - 1]) for target in TARGETS]
    said = [text(decode(model, s[None], decoding, None, n)[0]) for s, n in zip(SOURCES, lengths, strict=True)]
    bleu = tokenised_bleu(said, [[text(target[:-1]) for target in TARGETS]])
    assert found["bleu/0"]["value"] == bleu["value"]
    assert blank is any(len(s.split()) < int(n) for s, n in zip(said, lengths, strict=True))


def test_a_graph_shows_tokens_at_the_vertices_of_its_best_path_but_never_its_ends(monkeypatch):
    model, objective, shown = canvas.model("dag", factor=3), families.load("objective", "dag"), []
    prediction, target = canvas.prediction(model, "dag")
    of_paths = objective.align(target, prediction).index  # bos, the tokens, eos
    sources, targets = ([row[row.ne(1)] for row in side] for side in (canvas.SOURCE, canvas.TARGET))
    original = model.decode

    def recorded(source, lengths, revealed=None, *rest, **more):
        shown.extend([] if revealed is None else [revealed])
        return original(source, lengths, revealed, *rest, **more)

    monkeypatch.setattr(model, "decode", recorded)
    found, said = measured(model, sources, targets, objective, {"kind": "graph"})
    assert said[:2] == [text(decode(model, source[None], {"kind": "graph"})[0]) for source in sources]
    assert found["accuracy/0"]["by_sentence"][0][1] == 3 and found["accuracy/0"]["by_sentence"][1][1] == 1
    assert [count for _, count in found["accuracy/70"]["by_sentence"]] == [1, 0]
    for percent, revealed_then in zip(PERCENTS, shown, strict=True):
        tokens = [of_paths[row][revealed_then[row]].tolist() for row in range(2)]
        assert list(map(len, tokens)) == [int(percent * length / 100 + 0.5) for length in (3, 1)]
        assert set(tokens[0]) <= {1, 2, 3} and set(tokens[1]) <= {1}


def test_the_words_of_an_impossible_target_are_nowhere():
    model, of = canvas.model("dag"), {"objective": families.load("objective", "dag"), "decoding": {"kind": "graph"}}
    found, _ = measured(model, [torch.tensor([4, 5, 2])], [torch.tensor([4, 5, 6, 4, 5, 2])], **of)
    assert found["accuracy/50"] == {"value": 0.0, "unit": "%", "by_sentence": [[0, 0]]}
