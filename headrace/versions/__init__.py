"""Changes to a graph that runs: versions side by side, the switch between them, a new start."""
