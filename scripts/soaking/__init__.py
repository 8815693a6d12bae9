"""What `scripts/soak` is made of: a plan of faults, the agent on a faster clock, real peers, and the verdict."""
