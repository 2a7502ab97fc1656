"""The configuration of a run, validated as a whole and resolved to what the workflow must build.

A run file names a scale, datasets, tables, figures, claims and seeds. Their cells say which systems are measured, with
which decodings, on which splits; from these follow the models, their teachers, and the distilled corpora. Nothing here
looks at data, so a dry run needs none. Everything wrong raises UserError: a line with file, key and the allowed values.
"""

from natlab.config.files import DEFAULT_RUN, SCHEMAS
from natlab.config.loading import from_snakemake, load, load_file
from natlab.config.run import Model, Run

__all__ = ["DEFAULT_RUN", "SCHEMAS", "Model", "Run", "from_snakemake", "load", "load_file"]
