"""Hypothesis strategies for features of every kind but pictures, and for values that they take."""

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import strategies as st

from sigmax.contract import DTYPES, Feature, Kind, Missing, Unknown

SCALARS = (Kind.NUMERIC, Kind.BOOLEAN, Kind.INTEGER, Kind.CATEGORY)
INT64 = st.integers(-(2**63), 2**63 - 1)
EXACT = 2**53

texts = st.text(min_size=1, max_size=6).map(lambda text: unicodedata.normalize("NFC", text)).filter(bool)
_VOCABULARIES = {"string": texts, "int64": INT64.map(str), "bool": st.sampled_from(["true", "false"])}


@st.composite
def features(draw: st.DrawFn, name: str = "f") -> Feature:
    """A feature of any kind but a picture."""
    kind = draw(st.sampled_from(SCALARS))
    dtype = draw(st.sampled_from(DTYPES[kind]))
    if kind is not Kind.CATEGORY:
        missing = draw(st.sampled_from([Missing.REJECT, Missing.IMPUTE, Missing.NATIVE]))
        return Feature(name, kind, (), dtype, (0.0, 1.0), missing)
    missing = draw(st.sampled_from([Missing.REJECT, Missing.CATEGORY, Missing.NATIVE]))
    unknown = draw(st.sampled_from(list(Unknown)))
    vocabulary = tuple(draw(st.lists(_VOCABULARIES[dtype], min_size=1, max_size=5, unique=True)))
    codes = len(vocabulary) + (missing is not Missing.REJECT) + (unknown is not Unknown.REJECT)
    bounds = (0.0, codes - 1.0)
    return Feature(name, kind, (), dtype, bounds, missing, vocabulary=vocabulary, unknown=unknown)


def values(feature: Feature) -> st.SearchStrategy[Any]:
    """Values as a caller may send them for a feature, in JSON."""
    there = _categories(feature) if feature.kind is Kind.CATEGORY else _THERE[feature.kind]
    if feature.missing is Missing.REJECT:
        return there
    return there | st.none() | (st.just("") if feature.kind is Kind.CATEGORY else st.nothing())


_THERE: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.NUMERIC: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-EXACT, EXACT),
    Kind.BOOLEAN: st.sampled_from([True, False, 1, 0, 1.0, 0.0]),
    Kind.INTEGER: st.integers(-EXACT, EXACT) | st.integers(-EXACT, EXACT).map(float),
}


def _categories(feature: Feature) -> st.SearchStrategy[Any]:
    spelled = st.sampled_from(feature.vocabulary or ()).flatmap(lambda text: _spellings(feature, text))
    if feature.unknown is Unknown.REJECT:
        return spelled
    return spelled | _VOCABULARIES[feature.dtype].flatmap(lambda text: _spellings(feature, text))


def _spellings(feature: Feature, text: str) -> st.SearchStrategy[Any]:
    """All that means the same category."""
    forms: list[Any] = [text]
    if feature.dtype == "string":
        forms.append(unicodedata.normalize("NFD", text))
    elif feature.dtype == "bool":
        forms.append(text == "true")
    else:
        forms += [int(text)] + [float(text)] * (abs(int(text)) <= EXACT)
    return st.sampled_from(forms)
