"""For test_examples.py: a user of the Streamlit page, who looks at it and chooses another instrument."""

from __future__ import annotations

import json
import sys

from streamlit.testing.v1 import AppTest

page, url = sys.argv[1:]
sys.argv = [page, url]


def look(app: AppTest) -> None:
    """Print what the page shows."""
    assert not app.exception, app.exception
    assert not app.error, app.error
    prices, ladder = (each.value for each in app.dataframe)
    shown = {"symbols": list(prices.index), "levels": len(ladder), "best ask": ladder["price"][9]}
    print(json.dumps({**shown, "charts": len(app.get("vega_lite_chart"))}))


app = AppTest.from_file(page, default_timeout=60).run()
look(app)
app.selectbox[0].select("XAUUSD").run()
look(app)
