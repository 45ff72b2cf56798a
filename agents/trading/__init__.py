"""Pure trading rules that several agents share: amounts, identities, limits, states; no I/O."""
