"""What must hold whatever fails: the invariants `headrace faults` checks, one topology a module."""
