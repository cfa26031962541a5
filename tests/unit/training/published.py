"""Data with logistic regressions that others have published, number by number: what a correct fit comes to.

Each table is its source's own; a figure is written with the digits that the source prints.
"""

from __future__ import annotations

SPECTOR = """\
GPA,TUCE,PSI,GRADE
2.66,20,0,0
2.89,22,0,0
3.28,24,0,0
2.92,12,0,0
4.00,21,0,1
2.86,17,0,0
2.76,17,0,0
2.87,21,0,0
3.03,25,0,0
3.92,29,0,1
2.63,20,0,0
3.32,23,0,0
3.57,23,0,0
3.26,25,0,1
3.53,26,0,0
2.74,19,0,0
2.75,25,0,0
2.83,19,0,0
3.12,23,1,0
3.16,25,1,1
2.06,22,1,0
3.62,28,1,1
2.89,14,1,0
3.51,26,1,0
3.54,24,1,1
2.83,27,1,1
3.39,17,1,1
2.67,24,1,0
3.65,21,1,1
4.00,23,1,1
3.10,21,1,0
2.39,19,1,1
"""
"""Did 32 students do better in economics after a new method of teaching (PSI)?

L. C. Spector and M. Mazzeo, Probit Analysis and Economic Education, Journal of Economic Education 11 (1980);
as in W. H. Greene, Econometric Analysis, the chapter on discrete choice.
"""

SPECTOR_LOGIT = ("-13.0213", "2.8261", "0.0952", "2.3787")
SPECTOR_LOG_LIKELIHOOD = "-12.8896"
"""Greene: constant, GPA, TUCE, PSI."""

SPECTOR_L1 = ("-4.1027", "0.0000", "0.1549", "0.0000")
"""The same under an L1 penalty of 3 that spares the constant: statsmodels' test results, rounded."""

CHALLENGER = """\
temperature,distress
66,no
70,yes
69,no
68,no
67,no
72,no
73,no
70,no
57,yes
63,yes
70,yes
78,no
67,no
53,yes
67,no
75,no
70,no
81,no
76,no
79,no
75,yes
76,no
58,yes
"""
"""Was an O-ring of the space shuttle damaged at a launch, by the temperature in Fahrenheit?

The 23 launches before Challenger's last: S. R. Dalal, E. B. Fowlkes and B. Hoadley, Risk Analysis of the
Space Shuttle, Journal of the American Statistical Association 84 (1989).
"""

CHALLENGER_LOGIT = ("15.0429", "-0.2322")
CHALLENGER_DEVIANCE = "20.315"
"""R's glm on it, as many textbooks print it: intercept, temperature; residual deviance."""

VASOCONSTRICTION = (
    (3.70, 0.825, 1), (3.50, 1.09, 1), (1.25, 2.50, 1), (0.75, 1.50, 1), (0.80, 3.20, 1),
    (0.70, 3.50, 1), (0.60, 0.75, 0), (1.10, 1.70, 0), (0.90, 0.75, 0), (0.90, 0.45, 0),
    (0.80, 0.57, 0), (0.55, 2.75, 0), (0.60, 3.00, 0), (1.40, 2.33, 1), (0.75, 3.75, 1),
    (2.30, 1.64, 1), (3.20, 1.60, 1), (0.85, 1.415, 1), (1.70, 1.06, 0), (1.80, 1.80, 1),
    (0.40, 2.00, 0), (0.95, 1.36, 0), (1.35, 1.35, 0), (1.50, 1.36, 0), (1.60, 1.78, 1),
    (0.60, 1.50, 0), (1.80, 1.50, 1), (0.95, 1.90, 0), (1.90, 0.95, 1), (1.60, 0.40, 0),
    (2.70, 0.75, 1), (2.35, 0.03, 0), (1.10, 1.83, 0), (1.10, 2.20, 1), (1.20, 2.00, 1),
    (0.80, 3.33, 1), (0.95, 1.90, 0), (0.75, 1.90, 0), (1.30, 1.625, 1),
)  # fmt: skip
"""Volume and rate of a breath, and whether the vessels of a finger narrowed.

D. J. Finney, Biometrika 34 (1947); as in D. Pregibon, Logistic Regression Diagnostics, Annals of Statistics 9
(1981).
"""

VASOCONSTRICTION_LOGIT = ("-2.875", "5.179", "4.562")
VASOCONSTRICTION_DEVIANCE = "29.227"
"""Constant, logarithm of the volume, logarithm of the rate; the deviance as SAS's LOGISTIC prints it."""

PARTY_LOGIT = (
    (-0.37340167, -0.01153598, 0.29771435, -0.024945, 0.08249144, 0.00519655),
    (-2.2509132, -0.08875065, 0.39166864, -0.02289784, 0.18104276, 0.04787398),
    (-3.6655835, -0.1059667, 0.57345051, -0.01485121, -0.00715242, 0.05757516),
    (-7.6138431, -0.0915567, 1.2787718, -0.00868135, 0.19982796, 0.08449838),
    (-7.0604782, -0.0932846, 1.3469616, -0.01790407, 0.21693885, 0.08095841),
    (-12.105751, -0.14088069, 2.0700801, -0.00943265, 0.3219257, 0.10889408),
)
PARTY_LOG_LIKELIHOOD = "-1461.922747"
"""How near 944 Americans stood to a party in 1996, seven steps, each against the first: Stata's mlogit.

Constant, logarithm of the place's size, left or right, age, education, income. The rows are statsmodels'
`anes96`; the figures are those of its own test results, with the digits that Stata prints.
"""
