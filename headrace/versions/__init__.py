"""A new start for the stopped steps of a graph: their state and offsets replaced from outside."""
