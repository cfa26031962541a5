"""Training on more rows than the memory holds: they are read again and again, and never all at once."""
