"""Boxes and sizes for laws about them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def boxes_of(*rows: Any) -> Any:
    return np.array(rows, np.float32).reshape(-1, 4)


@st.composite
def some_boxes(draw: Any, most: int = 8) -> Any:
    count = draw(st.integers(0, most))
    numbers = draw(hnp.arrays(np.float32, (count, 2, 2), elements=st.floats(-500, 500, width=32)))
    return np.sort(numbers, axis=1).reshape(-1, 4)


sizes = st.tuples(st.integers(1, 4096), st.integers(1, 4096))
