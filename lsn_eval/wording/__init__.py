"""How numbers, lists, counts and tables of text are written: one style for every room."""
