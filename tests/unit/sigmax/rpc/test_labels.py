from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigmax.rpc.labels import Labels


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=300), st.integers(0, 600), st.integers(0, 9))
def test_the_labels_of_many_rows_are_those_of_each_row(labels: list[bytes], rows: int, seed: int) -> None:
    columns = np.random.default_rng(seed).integers(0, len(labels), rows)

    assert Labels(labels).of(columns) == b"".join(labels[column] for column in columns)
