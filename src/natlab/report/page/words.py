"""What the abbreviations mean that tables and claims are full of: said where they stand, and in a list at the end."""

import re
from html import escape, unescape

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
    "AEQA-DAT": "AEQA-NAT with DAT's graph as its canvas",
    "Reordering": "of AEQA's codes: each is put where the target's token stands that it is aligned with",
    "adaptive sampling": "AEQA's training shows codes in proportion to the tokens that a first pass gets wrong",
    "uniform sampling": "AEQA's training shows a fixed share of the codes, whatever a first pass gets wrong",
    "Reward": "training that makes better samples likelier, each by its own BLEU",
    "Constraints": "training that makes better samples likelier than worse ones, by a margin (CoDAT)",
    "dynamic KD": "a NAT chooses its target among several teachers' and the reference (MPLE)",
    "Input Sampling": "decoding that first shows a NAT a part of what another model says, as its training did (MPLE)",
    "Default Decoding": "decoding with nothing of the target shown",
    "proxy": "what stands for the reference (a proxy target) and what is shown of it (a proxy input) in training",
    "L_NAT": "the NAT's loss on its own proxy targets, given their lengths, in bits a token",
    "L_target": "how far proxy targets are from the references: −β times their mean sentence BLEU",
    "L_input": "how far a proxy input is from what its predictor expects, in bits a token",
    "L_MPLE": "the sum of L_NAT, L_target and L_input",
    "MLE": "maximum likelihood estimation: training on the references",
    "C": "conditional total correlation: what a target's tokens tell of one another beside the source, in bits a token",
    "P": "the true distribution over translations, P(Y|X), which is known of a generated corpus",
    "Q": "a model's distribution over translations",
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
    "argmax": "decoding that takes the likeliest token at each position",
    "beam 5": "beam search that keeps the five likeliest beginnings",
    "lookahead": "the path through a graph that takes the likeliest next vertex and token together",
    "joint Viterbi": "the likeliest path through a graph with its tokens, and their number",
    "samples": "paths that are drawn at random from a graph, the best of them taken",
    "expected sentence BLEU": "the mean sentence BLEU that the true P(Y|X) of a generated corpus expects",
    "trained on by likelihood": "trained further without reward or constraints, as long as with them",
    "soft copy": "states of the source, weighed by how near their positions are",
    "claim": "a statement of the paper; its parts are the tests of it, each with a verdict",
    "holds": "of a claim's part: at least 95 % of resamples agree with it",
    "refuted": "of a claim's part: at most 5 % of resamples agree with it",
    "undecided": "of a claim's part: between the two, or of one seed less than seeds differ by",
    "measured": "of a claim's part: the values that are compared, each with its system and, in brackets, its decoding",
    "statistic": "of a claim's part: by how much or how many times it is true, or what share of pairs is in order",
    "agree": "share of resamples of test sentences, and of seeds where there are several, in which a part is true",
    "90 % interval": "where 90 % of the resamples have the statistic",
    "resamples": "the test sentences drawn anew from themselves, and the seeds weighed anew, many times",
    "rests on": "what was resampled: test sentences, seeds, or rows of a table",
    "r": "Pearson's correlation of two columns over the rows of a table, −1 to 1",
    "Williams' t": "a test whether one of two correlations is the weaker",
    "ceiling": "what the likeliest target of a generated corpus would score",
    "allowed": "share of translations that a generated corpus' grammar can produce at all",
}
# in texts those are marked that have a capital, not the plain words, and none within a longer word or symbol
_WHOLE = r"(?<![A-Za-z0-9_])(?:{})(?![A-Za-z0-9_])"
_CAPITAL = sorted(filter(lambda word: word[:1].isupper(), WORDS), key=len, reverse=True)  # AEQA-DAT before AEQA
_MARKED = re.compile(r"&[a-z#0-9]+;|" + _WHOLE.format("|".join(map(re.escape, _CAPITAL))))


def marked(text: str) -> str:
    """Plain text as HTML in which abbreviations say what they mean."""

    def say(found: re.Match) -> str:
        word = found[0]
        return word if word not in WORDS else f'<abbr title="{escape(WORDS[word])}">{word}</abbr>'

    return _MARKED.sub(say, escape(text))


def section(shown: str) -> str:
    """The list of those words that stand in ``shown``, HTML."""
    text = unescape(re.sub(r"<[^>]*>", " ", shown))
    found = {word: meaning for word, meaning in WORDS.items() if re.search(_WHOLE.format(re.escape(word)), text)}
    lines = "".join(f"<dt>{word}</dt><dd>{escape(meaning)}</dd>\n" for word, meaning in found.items())
    return f"""<section id="words">
<h2>Words</h2>
<dl class="words">
{lines}</dl>
</section>
"""
