"""What is usual for a module in its port, learnt over days."""
