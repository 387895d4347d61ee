# SPDX-License-Identifier: BSD-3-Clause
"""What is asked for: words that are none, and words that do not go together."""

import pytest

from phenoscale.errors import InputError
from phenoscale.screening.asked import Asked


def test_values_become_lists():
    asked = Asked.of({"controls": {"A": "x"}, "join": "b.csv", "features": "Emb"})
    assert asked.controls == {"A": ["x"]} and asked.join == ["b.csv"]
    assert asked.features == ["Emb"] and asked.aggregate == "mean"


@pytest.mark.parametrize("words, sentence", [
    ({"control": {}}, "unknown word control: profiles are asked for by controls"),
    ({"aggregate": "mode"}, "aggregate=mode: give mean, median"),
    ({"standardise": "plate"}, "standardise=plate: give mean, robust, none"),
    ({"reversal": {"A": ["x"]}}, "COLUMN=DISEASE,HEALTHY"),
    ({"reversal": {"A": ["x", "y"], "B": ["x", "y"]}}, "COLUMN=DISEASE,HEALTHY"),
    ({"apply": "f", "fit": "g"}, "--apply uses a fit as it is"),
    ({"apply": "f", "standardise": "mean"}, "--apply uses a fit as it is"),
    ({"controls": "x"}, "controls='x': give a dict")])
def test_a_wrong_word_is_said(words, sentence):
    with pytest.raises(InputError) as caught:
        Asked.of(words)
    assert sentence in str(caught.value)
