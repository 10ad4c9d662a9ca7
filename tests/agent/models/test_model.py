from math import inf, nan

import pytest

from journeyman.agent.models.model import Sampling
from journeyman.errors import UsageError


@pytest.mark.parametrize(
    "values",
    [{"temperature": -1}, {"temperature": nan}, {"temperature": inf}, {"top_p": 0}, {"top_p": 9}, {"max_tokens": 0}],
)
def test_sampling_out_of_bounds_is_refused_with_the_bounds(values):
    with pytest.raises(UsageError) as caught:
        Sampling(**values)

    assert caught.value.fix.startswith("Give")
