"""When which module is read, on which thread."""
