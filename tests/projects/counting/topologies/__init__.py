"""How steps connect."""
