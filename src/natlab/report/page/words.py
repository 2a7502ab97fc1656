"""What the abbreviations mean that tables and claims are full of: said where they stand, and in a list at the end."""

import re
from html import escape

WORDS = {
    "AT": "autoregressive Transformer: it writes one token after another, each in sight of those before",
    "NAT": "non-autoregressive Transformer: it writes all tokens at once",
    "KD": "knowledge distillation: training on a teacher's translations in place of the references",
    "raw": "training on the corpus' own references",
    "BLEU": "share of n-grams that a translation has in common with its reference, 0 to 100",
    "ROUGE": "share of words, pairs of words or longest common subsequences in common with the reference, 0 to 100",
    "COMET": "a trained model's judgement of a translation, in %",
    "BLEURT": "a trained model's judgement of a translation, in %",
    "MPLE": "maximum proxy-likelihood estimation (Huang et al. 2022): NATs learn proxy targets, given proxy inputs",
    "AXE": "aligned cross entropy (Ghazvininejad et al. 2020): the loss of the best monotonic alignment",
    "OaXE": "order-agnostic cross entropy (Du et al. 2021): the loss of the best order of the target's tokens",
    "XE": "cross entropy, position by position",
    "CMLM": "conditional masked language model: a NAT that fills masks, some target tokens shown in training",
    "GLAT": "glancing Transformer: training shows as many target tokens as the first pass had wrong, in proportion",
    "CTC": "connectionist temporal classification: a longer canvas whose repeats and blanks collapse",
    "DAT": "DA-Transformer: a canvas that is a graph, of which a translation is one path",
    "CoDAT": "DAT trained further on its own samples, better ones against worse (An et al. 2023)",
    "AEQA": "adaptive end-to-end quantization alignment (Qu et al. 2025): codes of a codebook as the decoder's input",
    "NPD": "noisy parallel decoding: several lengths are tried, a teacher chooses",
    "LPD": "length-parallel decoding: several lengths are tried, the model itself chooses",
    "DSLP": "deep supervision: a loss at each layer, each fed the one before's prediction",
    "NCM": "normalised corpus-level multimodality: how many ways a model spreads its probability over",
    "KL": "Kullback-Leibler divergence: bits a sentence that a model needs more than the truth",
    "canvas": "the decoder's positions, before anything is written on them",
    "graph": "a canvas whose positions are linked: a translation is one path through it",
    "codes": "entries of a learned codebook that stand for the source in the decoder's input",
    "seed": "one start of all random numbers; how far seeds lie apart is known of runs that have several",
    "quoted": "copied from what the paper prints of others, and not measured here",
    "statistic": "of a claim's part: by how much or how many times it is true, or what share of pairs is in order",
    "agree": "share of resamples of test sentences, and of seeds where there are several, in which a part is true",
    "ceiling": "what the likeliest target of a generated corpus would score",
    "allowed": "share of translations that a generated corpus' grammar can produce at all",
}
_TOKEN = re.compile(r"&[a-z#0-9]+;|[A-Za-z]+")
_KEYS = {word for word in WORDS if word[:1].isupper()}


def marked(text: str) -> str:
    """Plain text as HTML in which abbreviations say what they mean."""

    def say(found: re.Match) -> str:
        word = found[0]
        if word not in _KEYS:
            return word
        return f'<abbr title="{escape(WORDS[word])}">{word}</abbr>'

    return _TOKEN.sub(say, escape(text))


def section(shown: str) -> str:
    """The list of those words that stand in ``shown``, HTML."""
    found = set(re.findall(r"[A-Za-z]+", re.sub(r"<[^>]*>", " ", shown)))
    lines = "".join(f"<dt>{word}</dt><dd>{escape(text)}</dd>\n" for word, text in WORDS.items() if word in found)
    return f"""<section id="words">
<h2>Words</h2>
<dl class="words">
{lines}</dl>
</section>
"""
