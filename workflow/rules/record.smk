# When Snakemake starts and stops: the record of the run, for `natlab status`, its jobs and what becomes of each.
import natlab.jobs


onstart:
    natlab.jobs.begin(RUN.name, workflow, log)
    if workflow.local_exec:
        # It wakes the scheduler each second, and once more a second for every job that has ended (Snakemake 9.27.1): after
        # a hundred jobs that takes half a core. On one machine there is nothing that it should hold back.
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    natlab.jobs.end(RUN.name, success=True)


onerror:
    natlab.jobs.end(RUN.name, success=False)
