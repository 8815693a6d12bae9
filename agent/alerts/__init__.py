"""Rules against readings, and what a flap was: which alert speaks, with which evidence."""
