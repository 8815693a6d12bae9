"""Ways to a module: each driver fetches bytes or decoded values, nothing else."""
