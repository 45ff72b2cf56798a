"""`headrace up`: a whole topology on this machine, watched until it ends."""
