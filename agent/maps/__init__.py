"""Memory maps: one file of declarations for each specification."""
