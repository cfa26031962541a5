"""The HTTP door: JSON in, JSON out. It parses, calls dispatch and renders; it decides nothing."""
