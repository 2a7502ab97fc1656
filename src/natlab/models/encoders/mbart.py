"""mBART's encoder (Liu et al. 2020), from a checkpoint of fairseq's, and the pieces that it reads sentences in.

A folder that the environment variable ``NATLAB_MBART`` names holds the files of mbart.cc25 as published: ``model.pt``,
``dict.txt`` and ``sentence.bpe.model``.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from natlab.errors import UserError
from natlab.models.layers import (
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    SelfAttention,
    attention_mask,
)
from natlab.models.transformer import Config, Source

SPECIALS = 4  # bos, pad, eos, unk, before the dictionary's pieces
# of mbart.cc25, in the order of their symbols after the dictionary's; a checkpoint may name others
LANGUAGES = (
    "ar_AR,cs_CZ,de_DE,en_XX,es_XX,et_EE,fi_FI,fr_XX,gu_IN,hi_IN,it_IT,ja_XX,kk_KZ,ko_KR,lt_LT,lv_LV,my_MM,ne_NP,nl_XX,"
    "ro_RO,ru_RU,si_LK,tr_TR,vi_VN,zh_CN"
)


@dataclass
class MBart:
    """tuned: False leaves the encoder as it is, so that only the codes learn; the paper tunes it."""

    folder: ClassVar[str] = "NATLAB_MBART"  # the environment variable that says where its files are
    wants: ClassVar[tuple[str, ...]] = ("model.pt", "dict.txt", "sentence.bpe.model")
    size: ClassVar[dict] = {"d_model": 1024, "d_hidden": 4096, "layers": 12, "vocabulary": 250027}  # for its costs

    tuned: bool = True

    def files(self) -> list[Path]:
        """The files that determine it. UserError where they are not there."""
        return [_folder() / name for name in self.wants]

    def described(self, languages: Sequence[str], words: Sequence[Sequence[str]]) -> dict[str, Any]:
        """What it is built from: its shape, as the checkpoint has it, the symbols of both sides' ``languages``, as ISO
        639-1 has them, and the ``words`` of both sides' vocabularies, special symbols among them. UserError where the
        files are not one model's, or it knows no such language."""
        path = _folder() / "model.pt"
        saved, weights = _checkpoint(path)
        heads, known = (getattr(saved.get("args"), key, None) for key in ("encoder_attention_heads", "langs"))
        if heads is None:
            raise UserError(f"{path}: does not say its encoder_attention_heads; take fairseq's mBART, as published")
        known = (known or LANGUAGES).split(",")
        vocabulary, d_model = weights["embed_tokens.weight"].shape
        pieces = sum(1 for _ in open(_folder() / "dict.txt", encoding="utf-8"))
        if SPECIALS + pieces + len(known) + 1 != vocabulary:
            raise UserError(
                f"{path}: has {vocabulary} embeddings, not one for each of {SPECIALS} special symbols, {pieces} pieces "
                f"of dict.txt, {len(known)} languages and a mask; take all files from one model"
            )
        symbols = []
        for language in languages:
            own = [number for number, name in enumerate(known) if name.split("_")[0] == language]
            if not own:
                raise UserError(f"{path}: mBART knows no language {language}; it knows {', '.join(known)}")
            symbols.append(SPECIALS + pieces + own[0])
        return {
            "d_model": d_model,
            "d_hidden": weights["layers.0.fc1.weight"].shape[0],
            "layers": 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers.")),
            "heads": heads,
            "vocabulary": vocabulary,
            "positions": weights["embed_positions.weight"].shape[0] - Config.pad - 1,
            "symbols": symbols,
            "words": [list(side) for side in words],
        }

    def build(self, shape: Mapping[str, Any], dropout: float, precision: str) -> "tuple[MBartEncoder, list[Pieces]]":
        """The encoder, with fresh parameters, and what each side's tokens are read as, of what `described` says."""
        encoder = MBartEncoder(shape, dropout, precision).requires_grad_(self.tuned)
        return encoder, [Pieces(*side) for side in zip(shape["words"], shape["symbols"], strict=True)]


def _folder() -> Path:
    """The folder of mBART's files. UserError where it is not named or lacks one."""
    named = os.environ.get(MBart.folder)
    if not named:
        raise UserError(f"{MBart.folder}: names no folder; set it to one with mBART's {', '.join(MBart.wants)}")
    missing = [name for name in MBart.wants if not (Path(named) / name).is_file()]
    if missing:
        raise UserError(
            f"{named}: holds no {', '.join(missing)}; {MBart.folder} is to name a folder with mBART's files"
        )
    return Path(named)


class MBartEncoder(nn.Module):
    """The encoder of fairseq's mbart_large: as `natlab.models.transformer.Encoder`, but layer norms stand before each
    part, after the embeddings and at the end, positions are learned and the activation is GELU."""

    def __init__(self, shape: Mapping[str, Any], dropout: float, precision: str):
        super().__init__()
        self.precision = precision
        dim = shape["d_model"]
        self.embedding = Embedding(shape["vocabulary"], dim, Config.pad)
        self.positions = LearnedPositions(dim, shape["positions"])
        self.embedding_norm, self.norm = LayerNorm(dim), LayerNorm(dim)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            _Layer(dim, shape["d_hidden"], shape["heads"], dropout) for _ in range(shape["layers"])
        )

    def forward(self, tokens: Tensor, embedding: Embedding | None = None) -> Source:
        """Encode pieces [B, S], padded on the right, each sentence ending in eos and its language."""
        return self.encode(tokens, (embedding or self.embedding).scaled(tokens))

    def encode(self, tokens: Tensor, embedded: Tensor) -> Source:
        """The same of tokens whose embeddings are ``embedded`` [B, S, d]. The language's symbol counts as no token."""
        padding = tokens.eq(Config.pad)
        x = self.dropout(self.embedding_norm(embedded + self.positions(0, tokens.shape[1])))
        if self.precision == "bf16":
            x = x.bfloat16()
        mask = attention_mask(padding, x.dtype)
        for layer in self.layers:
            x = layer(x, mask)
        return Source(tokens, embedded, self.norm(x), padding, mask, (~padding).sum(1) - 1)

    def load(self) -> Tensor:
        """Take the parameters of the checkpoint; returns the embedding [d] of its mask. UserError where one is missing
        or has another shape."""
        path = _folder() / "model.pt"
        _, theirs = _checkpoint(path)
        try:
            found = dict(_ours(theirs, len(self.layers)))
            self.load_state_dict(found)
        except (KeyError, RuntimeError) as error:
            raise UserError(f"{path}: no checkpoint of mBART's ({str(error).splitlines()[-1].strip()})") from error
        return self.embedding.weight[-1].detach() * self.embedding.scale


class _Layer(nn.Module):
    """Self-attention and feed-forward, each with a layer norm before and dropout and residual after it."""

    def __init__(self, dim: int, hidden: int, heads: int, dropout: float):
        super().__init__()
        self.attention, self.attention_norm = SelfAttention(dim, heads), LayerNorm(dim)
        self.feed_forward, self.feed_forward_norm = FeedForward(dim, hidden, "gelu"), LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class Pieces:
    """Sentences of one side's vocabulary as mBART reads them: their text, of which BPE is undone, in its pieces, eos,
    the symbol of the language. The text is the corpus', in tokens, lower-cased where that is."""

    def __init__(self, words: Sequence[str], symbol: int):
        self.words, self.symbol = words, symbol

    def __call__(self, tokens: Tensor) -> Tensor:
        """Pieces [B, P] of tokens [B, L], padded on the right, with eos or without."""
        split, numbers = _pieces(_folder())
        rows = []
        for row in tokens.tolist():
            text = " ".join(self.words[token] for token in row if token > Config.eos).replace("@@ ", "")
            rows.append(torch.tensor([*(numbers.get(piece, 3) for piece in split(text)), Config.eos, self.symbol]))
        return pad_sequence(rows, batch_first=True, padding_value=Config.pad).to(tokens.device)


@cache
def _pieces(of: Path) -> tuple[Callable[[str], list[str]], dict[str, int]]:
    """How a text is split, and the pieces' numbers."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise UserError(
            "sentencepiece: mBART's sentences are split by it; install it: pip install sentencepiece"
        ) from error
    with open(of / "dict.txt", encoding="utf-8") as file:
        numbers = {line.rsplit(" ", 1)[0]: SPECIALS + number for number, line in enumerate(file)}
    processor = SentencePieceProcessor(model_file=str(of / "sentence.bpe.model"))
    return lambda text: processor.encode(text, out_type=str), numbers


def _checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """All that fairseq saved, and the encoder's parameters without that prefix. UserError for another file."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            saved = torch.load(path, map_location="cpu", weights_only=True)
        found = ((name.partition("encoder."), value) for name, value in saved["model"].items())
        weights = {name: value for (before, prefix, name), value in found if prefix and not before}
        weights["embed_tokens.weight"]
    except Exception as error:  # torch raises many kinds for a file that is none of its own
        raise UserError(f"{path}: no checkpoint of fairseq's mBART ({type(error).__name__}); fetch it again") from error
    return saved, weights


def _ours(theirs: Mapping[str, Tensor], layers: int) -> Iterator[tuple[str, Tensor]]:
    """(our name, value) of each parameter of the encoder, of fairseq's by theirs."""
    yield "embedding.weight", theirs["embed_tokens.weight"]
    yield "positions.weight", theirs["embed_positions.weight"][Config.pad + 1 :]  # those of padding and before are none
    pairs = {"embedding_norm": "layernorm_embedding", "norm": "layer_norm"}
    for number in range(layers):
        at = f"layers.{number}"
        pairs |= {
            f"{at}.attention.out": f"{at}.self_attn.out_proj",
            f"{at}.attention_norm": f"{at}.self_attn_layer_norm",
            f"{at}.feed_forward.inner": f"{at}.fc1",
            f"{at}.feed_forward.outer": f"{at}.fc2",
            f"{at}.feed_forward_norm": f"{at}.final_layer_norm",
        }
    for part in ("weight", "bias"):
        for own, other in pairs.items():
            yield f"{own}.{part}", theirs[f"{other}.{part}"]
        for number in range(layers):
            projections = (theirs[f"layers.{number}.self_attn.{name}_proj.{part}"] for name in "qkv")
            yield f"layers.{number}.attention.qkv.{part}", torch.cat(list(projections))
