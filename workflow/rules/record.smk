# The record of the run, for `natlab status`: its jobs when Snakemake starts, then what becomes of each.
import natlab.jobs


onstart:
    natlab.jobs.begin(RUN.name, workflow, log)


onsuccess:
    natlab.jobs.end(RUN.name, success=True)


onerror:
    natlab.jobs.end(RUN.name, success=False)
