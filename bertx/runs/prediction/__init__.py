"""`bertx predict`: records in, one JSON line for each out, in order, in constant memory."""
