"""What a score is given."""

from dataclasses import dataclass


@dataclass
class Translations:
    """N translations of a corpus and what they are scored against, N lines each.

    tokens: whitespace-tokenised, as models write them.
    references: tokenised as the corpus is.
    text: the translations as plain text.
    text_references: as published.
    language: the target's, ISO 639-1.
    lowercase: whether the corpus is lower-cased.
    """

    tokens: list[str]
    references: list[str]
    text: list[str]
    text_references: list[str]
    language: str
    lowercase: bool = False
