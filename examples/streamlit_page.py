"""A page with prices, a ladder and a chart, of one Python file: streamlit run streamlit_page.py [-- wss://localhost:8443]."""

import sys

import pandas as pd
import streamlit as st

import ticker

URL = sys.argv[1] if len(sys.argv) > 1 else "wss://localhost:8443"
SYMBOLS = ["EURUSD", "GBPUSD", "USDJPY", "XAUUSD"]

st.title("Prices")
symbol = st.selectbox("Instrument", SYMBOLS)


@st.fragment(run_every="1s")
def prices() -> None:
    """This part of the page is made anew each second; each time, all of it is one moment of the market."""
    book, candles = f"{symbol} book:10", f"{symbol} candles:1m:300"
    try:
        now = ticker.snapshot(URL, [*SYMBOLS, book, candles], timeout=5)
    except ticker.ConnectionFailed as error:
        st.error(str(error))
        return
    quotes = {each: {field: str(now[each].get(field, "")) for field in ("bid", "ask", "last")} for each in SYMBOLS}
    st.dataframe(pd.DataFrame(quotes).T)
    left, right = st.columns([1, 2])
    left.dataframe(ladder(now[book]), hide_index=True)
    bars = pd.DataFrame(now[candles]["candles"])
    bars["time"] = pd.to_datetime(bars["start"], unit="s", utc=True)
    right.line_chart(bars.astype({"close": float}), x="time", y="close")


def ladder(book: ticker.Fields) -> pd.DataFrame:
    """Asks above bids, as exact texts."""
    asks = [("", str(price), str(size)) for price, size in reversed(book["asks"])]
    bids = [(str(size), str(price), "") for price, size in book["bids"]]
    return pd.DataFrame([*asks, *bids], columns=["bid size", "price", "ask size"])


prices()
