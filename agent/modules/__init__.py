"""One module in its cage over time: who it is, what of its bytes is believed."""
