"""Bring your own: classifiers that were fitted elsewhere, through the same export, gate and publication.

`scikit` takes a fitted scikit-learn estimator, `file` an ONNX file. Nothing here fits anything.
"""
