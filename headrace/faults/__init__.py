"""`headrace faults`: a topology under a seeded storm of faults, held against a quiet run."""
