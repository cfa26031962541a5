"""Fit the model that the peers serve; run by their interpreters: `python fit.py FILE`."""

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    rows, labels = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=1_000).fit(rows, labels), sys.argv[1])
