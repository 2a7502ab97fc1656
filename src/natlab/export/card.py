"""A bundle's card: what it is, how well it does, and what it may be used for, for people."""

from typing import Any

from natlab.bundles.manifest import Manifest

SCORES = ("bleu", "bleu_tok", "chrf", "rouge1", "rouge2", "rougeL")


def lines(manifest: Manifest, measurement: dict[str, Any] | None) -> list[str]:
    """The card's lines; ``measurement``: of the same model and decoding on its test set, where there is one."""
    origin, languages = manifest.origin, manifest.languages
    made = origin["model"]
    sides = " to ".join(languages[side] for side in ("src", "tgt"))
    text = {"moses": "Moses' tokens", "jieba": "Moses' tokens, Chinese by jieba", "none": "words parted by spaces"}
    options = ", ".join(f"{key}: {value}" for key, value in manifest.decoding.items())
    found = [
        f"# {manifest.system}, {sides}",
        "",
        f"Translates plain text, a sentence a line, from {languages['src']} to {languages['tgt']}. Trained by natlab "
        f"{manifest.natlab}, system `{manifest.system}` at scale `{origin['scale']}`, seed {origin['seed']}, on "
        f"`{manifest.dataset}`.",
        "",
        "    echo 'a sentence' | natlab translate THIS_FOLDER",
        "",
        f"- **Engine**: {manifest.engine}, weights in {manifest.precision}",
        f"- **Decoding**: `{origin['decoding']}` ({options})",
        f"- **Text**: {text[manifest.tokenise]}{', lower-cased' if manifest.lowercase else ''}, in subwords",
        f"- **Licence of the data**: {origin['licence']}",
        f"- **Model**: fingerprint {made['fingerprint']}, exported at commit {made['commit'] or 'unknown'}",
    ]
    if measurement is None:
        return [*found, "- **Scores**: not measured"]
    values = measurement["values"]
    scores = [f"{name} {values[name]['value']:.2f}" for name in SCORES if name in values]
    weights = "" if manifest.precision == "float32" else ", by its float32 weights"
    return [*found, f"- **Scores** on {measurement['sentences']} sentences of test{weights}: {', '.join(scores)}"]
