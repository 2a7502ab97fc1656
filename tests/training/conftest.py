import random

import pytest

from natlab.corpus.binarise import binarise

WORDS = [f"w{i}" for i in range(12)]


@pytest.fixture(scope="session")
def copy_corpus(tmp_path_factory):
    """A fairseq data folder whose targets are the sources in capitals, words of 2 to 6."""
    draw = random.Random(0)
    bpe, out = tmp_path_factory.mktemp("copy") / "bpe", tmp_path_factory.mktemp("copy_bin") / "bin"
    bpe.mkdir()
    for split, count in (("train", 300), ("valid", 40), ("test", 40)):
        sentences = [draw.choices(WORDS, k=draw.randint(2, 6)) for _ in range(count)]
        (bpe / f"{split}.src").write_text("".join(" ".join(words) + "\n" for words in sentences))
        (bpe / f"{split}.tgt").write_text("".join(" ".join(words).upper() + "\n" for words in sentences))
    binarise(False, bpe, out)
    return out
