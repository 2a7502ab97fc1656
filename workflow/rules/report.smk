# From measurements to tables, figures, claims and the report: seconds, no GPU, neither torch nor fairseq.


localrules:
    run_settings,
    provenance,
    table,
    figure,
    claims,
    report,


# The run as it was resolved, overrides of the command line included. Not in the reports, where a clone has those of a
# reference run, perhaps with other settings, which Snakemake would take for made.
rule run_settings:
    output:
        f"results/settings/{RUN.name}.json",
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
        measurements=measurements(*RUN.tables, *RUN.figures, *RUN.claims),
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
        code=code("papers/*.py", "report/*.py"),
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


rule figure:
    input:
        spec="config/papers/{paper}/{figure}.yaml",
        run=rules.run_settings.output,
        measurements=lambda wildcards: measurements(f"{wildcards.paper}/{wildcards.figure}"),
        exact=lambda wildcards: exact(f"{wildcards.paper}/{wildcards.figure}"),
        surface=lambda wildcards: surface(f"{wildcards.paper}/{wildcards.figure}"),
        code=code("papers/*.py", "report/*.py"),
    output:
        png=report(
            f"{REPORTS}/figures/{{paper}}.{{figure}}.png",
            caption="../report/table.rst",
            category="Figures",
            labels={"paper": "{paper}", "figure": "{figure}"},
        ),
        pdf=f"{REPORTS}/figures/{{paper}}.{{figure}}.pdf",
        svg=f"{REPORTS}/figures/{{paper}}.{{figure}}.svg",
        csv=f"{REPORTS}/figures/{{paper}}.{{figure}}.csv",
        markdown=f"{REPORTS}/figures/{{paper}}.{{figure}}.md",
    log:
        f"results/logs/figure/{RUN.name}/{{paper}}.{{figure}}.log",
    params:
        out=lambda wildcards, output: Path(output.csv).with_suffix(""),
    shell:
        "natlab figure --table {input.spec} --run {input.run} --measurements results/measurements"
        " --corpora results/corpora --out {params.out} --surface {input.surface} &> {log}"


rule claims:
    input:
        spec="config/papers/{paper}/{claims}.yaml",
        tables=lambda wildcards: expand(
            "config/papers/{table}.yaml",
            table=natlab.papers.claims.tables_named(RUN.claims[f"{wildcards.paper}/{wildcards.claims}"]),
        ),
        labels="config/papers/labels.yaml",
        run=rules.run_settings.output,
        measurements=lambda wildcards: measurements(f"{wildcards.paper}/{wildcards.claims}"),
        # of other runs, as they stand in reports/: how far seeds lie apart
        deviations=lambda wildcards: natlab.papers.claims.measurements_of(
            RUN.claims[f"{wildcards.paper}/{wildcards.claims}"], "reports", RUN.name
        ),
        code=code("papers/*.py", "report/*.py"),
    output:
        csv=report(
            f"{REPORTS}/claims/{{paper}}.{{claims}}.csv",
            caption="../report/table.rst",
            category="Claims",
            labels={"paper": "{paper}"},
        ),
        markdown=f"{REPORTS}/claims/{{paper}}.{{claims}}.md",
    log:
        f"results/logs/claims/{RUN.name}/{{paper}}.{{claims}}.log",
    params:
        out=lambda wildcards, output: Path(output.csv).with_suffix(""),
    shell:
        "natlab claims --claims {input.spec} --run {input.run} --measurements results/measurements"
        " --corpora results/corpora --out {params.out} &> {log}"


rule report:
    input:
        labels="config/papers/labels.yaml",
        run=rules.run_settings.output,
        tables=expand(f"{REPORTS}/tables/{{table}}.csv", table=TABLES),
        figures=expand(f"{REPORTS}/figures/{{figure}}.{{ending}}", figure=FIGURES, ending=["csv", "svg"]),
        claims=expand(f"{REPORTS}/claims/{{claims}}.csv", claims=CLAIMS),
        measurements=measurements(*RUN.tables, *RUN.figures, *RUN.claims),
        graphs=graphs(),
        surfaces=[file for name in RUN.figures for file in surface(name)],
        provenance=rules.provenance.output,
        code=code("papers/*.py", "report/*.py", "report/page/*"),
    output:
        page=f"{REPORTS}/index.html",
        settings=f"{REPORTS}/run.json",
        measurements=f"{REPORTS}/measurements.csv",
        record=f"{REPORTS}/record.tar.xz",
    log:
        f"results/logs/report/{RUN.name}.log",
    shell:
        "{{ natlab report --run {input.run} --results results --out $(dirname {output.page})"
        " && cp {input.run} {output.settings}; }} &> {log}"
