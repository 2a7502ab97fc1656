"""One line of raw text to tokens: NFC, then Moses punctuation normalisation and tokenisation, or jieba for Chinese.

Moses here is sacremoses without XML escapes (the text stays text: ``'`` and not ``&apos;``) and without aggressive
hyphen splitting. Chinese punctuation is left as it is: Moses's normalisation is for European typography.
"""

import unicodedata
from collections.abc import Callable
from functools import cache

CHINESE = "zh"
SCHEMES = ("moses", "jieba", "none")


@cache
def tokeniser(scheme: str, language: str, lowercase: bool) -> Callable[[str], str]:
    """A function from a raw line to its tokens joined by single spaces.

    scheme: ``moses``; ``jieba``: the same, but a Chinese line is segmented into words by jieba; ``none``: the line is
    split at whitespace only. Text is put in Unicode's NFC under every scheme.
    """
    steps = [lambda line: unicodedata.normalize("NFC", line)]
    if scheme == "jieba" and language == CHINESE:
        steps.append(_jieba())
    elif scheme != "none":
        steps += _moses(language)
    if lowercase:
        steps.append(str.lower)

    def tokenise(line: str) -> str:
        for step in steps:
            line = step(line)
        return " ".join(line.split())

    return tokenise


def _moses(language: str) -> list[Callable[[str], str]]:
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    moses = MosesTokenizer(language)
    return [MosesPunctNormalizer(language).normalize, lambda line: moses.tokenize(line, return_str=True, escape=False)]


def _jieba() -> Callable[[str], str]:
    import jieba

    words = jieba.Tokenizer()
    # read at every start: jieba would rather believe what any program has left as jieba.cache in the temporary folder
    words.FREQ, words.total = words.gen_pfdict(words.get_dict_file())
    words.initialized = True
    return lambda line: " ".join(words.cut(line))
