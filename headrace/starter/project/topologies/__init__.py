"""How steps connect: one page a graph."""
