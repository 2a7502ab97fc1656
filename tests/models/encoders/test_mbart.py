"""mBART's encoder, beside fairseq's of the same checkpoint: a tiny one, made here in that format."""

import argparse

import pytest
import torch
from tests import plain

from natlab import compat
from natlab.errors import UserError
from natlab.losses.batch import Method, batch_loss
from natlab.models.encoders.mbart import MBart, Pieces
from natlab.models.load import build, load, publish

PIECES = ["▁", "▁ein", "▁haus", "▁a", "▁house", "s", "▁the"]
LANGS = ["de_DE", "en_XX", "ro_RO"]
WORDS = [
    ["<s>", "<pad>", "</s>", "<unk>", "a", "house", "s@@", "the"],
    ["<s>", "<pad>", "</s>", "<unk>", "ein", "haus"],
]
CONFIG = {
    "d_model": 16, "d_hidden": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0,
    "source_vocabulary": 8, "target_vocabulary": 6, "joint_vocabulary": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs():
    """fairseq's own tiny mBART, in evaluation, and its arguments."""
    compat.apply()
    from fairseq.data import Dictionary
    from fairseq.models.bart import BARTModel, mbart_large_architecture

    torch.manual_seed(0)
    dictionary = Dictionary()
    for symbol in (*PIECES, *(f"[{language}]" for language in LANGS), "<mask>"):
        dictionary.add_symbol(symbol)
    sizes = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in {"embed_dim": 24, "ffn_embed_dim": 40, "layers": 2, "attention_heads": 4}.items()
    }
    args = argparse.Namespace(
        **sizes, encoder_normalize_before=True, decoder_normalize_before=True, layernorm_embedding=True,
        max_source_positions=30, max_target_positions=30, langs=",".join(LANGS),
    )  # fmt: skip
    mbart_large_architecture(args)
    model = BARTModel.build_model(args, argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary))
    for parameter in model.parameters():  # no norm is 1 and no bias 0
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval(), args


@pytest.fixture
def files(theirs, tmp_path, monkeypatch):
    """The folder with its files, which NATLAB_MBART names."""
    model, args = theirs
    torch.save({"args": args, "model": model.state_dict(), "optimizer_history": []}, tmp_path / "model.pt")
    (tmp_path / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in PIECES))
    (tmp_path / "sentence.bpe.model").write_bytes(b"")
    monkeypatch.setenv("NATLAB_MBART", str(tmp_path))
    return tmp_path


def multilingual(codebook=None, **options):
    """Our model on that encoder, with its parameters."""
    member = {"name": "mbart", **options}
    shape = MBart(**options).described(["en", "de"], WORDS)
    parts = {"encoder": {**member, "shape": shape}} | ({} if codebook is None else {"codebook": codebook})
    model = build({"architecture": {"name": "multilingual", **parts}, **CONFIG})
    model.take_pretrained()
    return model.eval()


def test_states_are_fairseqs(theirs, files):
    model = multilingual()
    tokens = torch.tensor([[5, 6, 9, 2, 12], [7, 2, 12, 1, 1], [4, 4, 3, 2, 11]])
    ours = model.encoder(tokens)
    with torch.no_grad():
        expected = theirs[0].encoder(tokens)["encoder_out"][0].transpose(0, 1)
    inside = tokens.ne(1)
    torch.testing.assert_close(ours.encoded[inside], expected[inside], rtol=1e-5, atol=1e-5)
    assert ours.words.sum(1).tolist() == [3, 1, 3]  # neither eos nor the language
    torch.testing.assert_close(model.mask.data, theirs[0].encoder.embed_tokens.weight[14] * 24**0.5)


def test_sentences_are_read_in_pieces_with_the_symbol_of_their_language(files, monkeypatch):
    """BPE is undone; a piece that the dictionary lacks is unknown."""
    split = {"a house the": ["▁a", "▁house", "▁the"], "sthe ein": ["?"], "ein haus": ["▁ein", "▁haus"]}
    numbers = {piece: 4 + number for number, piece in enumerate(PIECES)}
    monkeypatch.setattr("natlab.models.encoders.mbart._pieces", lambda folder: (split.__getitem__, numbers))
    read = Pieces([*WORDS[0], "ein"], 12)
    assert read(torch.tensor([[4, 5, 7, 2], [6, 7, 8, 2]])).tolist() == [[7, 8, 10, 2, 12], [3, 2, 12, 1, 1]]
    model = multilingual()
    torch.testing.assert_close(
        model.encode_target(torch.tensor([[4, 5, 1]])).encoded, model.encoder(torch.tensor([[5, 6, 2, 11]])).encoded
    )


def test_by_sentencepiece_itself(files, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    text = tmp_path / "text"
    text.write_text("a house\nthe house\nein haus\ndas haus\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "sentence.bpe"), vocab_size=24, hard_vocab_limit=False
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sentence.bpe.model"))
    pieces = [processor.id_to_piece(number) for number in range(3, processor.get_piece_size())]
    (tmp_path / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in pieces), encoding="utf-8")
    [row] = Pieces(WORDS[0], 12)(torch.tensor([[7, 5, 2]])).tolist()
    assert row[-2:] == [2, 12]
    assert processor.decode([pieces[number - 4] for number in row[:-2]]) == "the house"


@pytest.mark.parametrize("tuned", [True, False])
def test_it_is_aligned_tuned_or_as_it_is_and_published_without_the_checkpoint(files, tmp_path, monkeypatch, tuned):
    numbers = {piece: 4 + number for number, piece in enumerate(PIECES)}
    pieces = lambda folder: (lambda text: [f"▁{word}" for word in text.split()], numbers)  # noqa: E731
    monkeypatch.setattr("natlab.models.encoders.mbart._pieces", pieces)
    codebook = {"name": "moving", "size": 3}
    model = multilingual(codebook, tuned=tuned).train()
    assert model.codebook.vectors.shape == (3, 24)  # as wide as the encoder
    method = Method.of(plain.multilingual(codebook, plain.L_AL))
    batch = torch.tensor([[4, 5, 2], [7, 5, 2]]), torch.tensor([[4, 5, 2], [5, 2, 1]])
    batch_loss(model, *batch, method, 0.0).loss.backward()
    assert bool(model.codebook.averages.counts.any())
    grads = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert grads["encoder.layers.0.feed_forward.inner.weight"].any() if tuned else set(grads) == {"mask"}
    publish(tmp_path / "published.pt", model, {})
    (files / "model.pt").unlink()
    again, _ = load(tmp_path / "published.pt")
    monkeypatch.setattr("natlab.models.encoders.mbart._folder", lambda: files)
    torch.testing.assert_close(again.encode_source(batch[0]).encoded, model.eval().encode_source(batch[0]).encoded)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda of: of.joinpath("dict.txt").unlink(), "holds no dict.txt; NATLAB_MBART"),
        (lambda of: of.joinpath("dict.txt").write_text("a 1\n"), "15 embeddings, not one for each of 4 .* 1 pieces"),
        (lambda of: of.joinpath("model.pt").write_text("?"), "no checkpoint of fairseq's mBART"),
        (lambda of: torch.save({"model": {}}, of / "model.pt"), "no checkpoint of fairseq's mBART"),
    ],
)
def test_files_that_are_not_mbarts_are_one_clear_line(files, spoil, message):
    spoil(files)
    with pytest.raises(UserError, match=message) as error:
        multilingual()
    assert "\n" not in str(error.value)


def test_what_is_not_named_and_what_it_does_not_know_is_one_clear_line(files, monkeypatch):
    with pytest.raises(UserError, match="mBART knows no language fr; it knows de_DE, en_XX, ro_RO"):
        MBart().described(["en", "fr"], WORDS)
    monkeypatch.delenv("NATLAB_MBART")
    with pytest.raises(
        UserError, match="^NATLAB_MBART: names no folder; set it to one with mBART's model.pt, dict.txt"
    ):
        MBart().files()
