"""Parts that models and tasks share, in plain torch: nothing here imports fairseq."""
