"""Pure rules that every door shares: from what a caller sends to a features matrix, and back.

No input or output, no model, no framework: plain Python values and arrays in, arrays out.
"""
