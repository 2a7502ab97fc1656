"""Plain text, such as the labels of tables, as Markdown and as LaTeX: shown as it stands, whatever it holds.

HTML is `html.escape`'s, and figures take text as it is.
"""

import re

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}",
    # where a row begins, an argument of \midrule and of \\
    "[": "{[}", "]": "{]}", "*": "{*}",
    "–": "--", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "†": r"$\dagger$", "§": r"\S{}",
    "≤": r"$\leq$", "≥": r"$\geq$", "∥": r"$\parallel$", "‖": r"$\Vert$", "ï": r"\"{\i}",
    "Δ": r"$\Delta$", "β": r"$\beta$", "δ": r"$\delta$", "ε": r"$\varepsilon$", "λ": r"$\lambda$", "π": r"$\pi$",
    "τ": r"$\tau$",
}  # fmt: skip
_CHARACTER = re.compile("([-',])(?=\\1)|.", re.DOTALL)  # two of the former join: hyphens become a dash
# What begins mark-up in CommonMark or GitHub's: not a lone * or <, nor an _ within a word.
_MARKDOWN = re.compile(
    r"[\\`\[\]$]|#(?=#*$)|[*~](?=\S)|(?<=\S)[*~]|<(?=[A-Za-z/!?])|&(?=#|\w+;)|(?<!_)(?:(?<![^\W_])_++|_++(?![^\W_]))"
)
_BLOCK = re.compile(r"[#>*+=:-]|\d+(?=[.)])")  # where a line begins


def latex(text: str) -> str:
    """Plain text as LaTeX text. Letters that pdfLaTeX has not got need LuaLaTeX or XeLaTeX."""
    return _CHARACTER.sub(lambda found: f"{found[1]}{{}}" if found[1] else _LATEX.get(found[0], found[0]), text)


def markdown(text: str) -> str:
    """Plain text within a line of Markdown."""
    return _MARKDOWN.sub(lambda found: "".join(f"\\{character}" for character in found[0]), text)


def markdown_line(text: str) -> str:
    """Plain text that begins a paragraph or an item of a list."""
    inline = markdown(text)
    block = _BLOCK.match(inline)
    if block is None:
        return inline
    return f"{block[0]}\\{inline[block.end() :]}" if block[0][0].isdigit() else f"\\{inline}"


def markdown_cell(text: str) -> str:
    """Plain text as a cell of a Markdown table."""
    return markdown(text).replace("|", r"\|")
