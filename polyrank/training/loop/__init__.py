"""One training run, whatever the objective: batches, schedule, checkpoints, selection."""
