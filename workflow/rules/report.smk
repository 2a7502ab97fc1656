# From measurements to tables and the report: seconds, no GPU, neither torch nor fairseq.


localrules:
    run_settings,
    provenance,
    table,
    report,


# The run as it was resolved, overrides of the command line included.
rule run_settings:
    output:
        f"{REPORTS}/run.json",
    log:
        f"results/logs/run_settings/{RUN.name}.log",
    params:
        settings=compact(RUN.settings),
    shell:
        "printf '%s\\n' {params.settings:q} > {output} 2> {log}"


# What its numbers rest on. Of the measurements' names for their models, so that it asks for no model that was deleted.
rule provenance:
    input:
        run=rules.run_settings.output,
        measurements=measurements(*RUN.tables),
        code=code("provenance.py"),
    output:
        f"{REPORTS}/provenance.json",
    log:
        f"results/logs/provenance/{RUN.name}.log",
    shell:
        "natlab provenance --run {input.run} --results results --out {output} &> {log}"


rule table:
    input:
        spec="config/papers/{paper}/{table}.yaml",
        run=rules.run_settings.output,
        measurements=lambda wildcards: measurements(f"{wildcards.paper}/{wildcards.table}"),
        exact=lambda wildcards: exact(f"{wildcards.paper}/{wildcards.table}"),
        code=code("report/*.py"),
    output:
        csv=report(
            f"{REPORTS}/tables/{{paper}}.{{table}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"paper": "{paper}", "table": "{table}"},
        ),
        markdown=f"{REPORTS}/tables/{{paper}}.{{table}}.md",
        latex=f"{REPORTS}/tables/{{paper}}.{{table}}.tex",
    log:
        f"results/logs/table/{RUN.name}/{{paper}}.{{table}}.log",
    params:
        out=lambda wildcards, output: Path(output.csv).with_suffix(""),
    shell:
        "natlab table --table {input.spec} --run {input.run} --measurements results/measurements"
        " --corpora results/corpora --out {params.out} &> {log}"


rule report:
    input:
        run=rules.run_settings.output,
        tables=expand(f"{REPORTS}/tables/{{table}}.csv", table=TABLES),
        measurements=measurements(*RUN.tables),
        provenance=rules.provenance.output,
        code=code("report/*.py"),
    output:
        page=f"{REPORTS}/report.html",
        measurements=f"{REPORTS}/measurements.csv",
    log:
        f"results/logs/report/{RUN.name}.log",
    params:
        tables=lambda wildcards, input: Path(input.tables[0]).parent,
    shell:
        "natlab report --run {input.run} --tables {params.tables} --measurements results/measurements"
        " --out {output.page} &> {log}"
