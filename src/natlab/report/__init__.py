"""From measurements to tables and pages: reads measurement JSONs and nothing else, needs neither torch nor fairseq."""
