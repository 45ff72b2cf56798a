"""How steps connect: one module, one graph, one page."""
