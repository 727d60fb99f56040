"""seglab's dashboard: a router over pages/. No logic here."""

import streamlit as st

st.set_page_config(page_title="seglab", page_icon="seglab/ui/icon.png", layout="wide")
st.navigation([st.Page("pages/compare.py", title="Compare", icon=":material/compare:", default=True)]).run()
