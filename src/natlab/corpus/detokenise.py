"""From tokens to plain text: Moses' rules, or Chinese words run together."""

from collections.abc import Iterable

from sacremoses import MosesDetokenizer

from natlab.corpus.tokenise import CHINESE


def detokenised(sentences: Iterable[str], language: str) -> list[str]:
    """Whitespace-tokenised sentences, without XML escapes, as plain text: Moses' rules; Chinese words run together."""
    if language == CHINESE:
        return [_joined(line.split()) for line in sentences]
    moses = MosesDetokenizer(lang=language)
    return [moses.detokenize(line.split(), unescape=False) for line in sentences]


def _joined(tokens: list[str]) -> str:
    """Tokens without spaces, but for one between two Latin words or numbers, which would run into each other."""
    text = ""
    for token in tokens:
        space = text and text[-1].isascii() and text[-1].isalnum() and token[0].isascii() and token[0].isalnum()
        text += f" {token}" if space else token
    return text
