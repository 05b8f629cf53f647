"""From an upload to its verdict: models, jobs, batches, the recorder."""
