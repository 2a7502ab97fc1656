"""Training under fairseq's trainer: a task, a model adaptor, a criterion and an optimiser of ours."""
