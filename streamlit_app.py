"""seglab's dashboard: a router over pages/. No logic here."""

import streamlit as st

st.set_page_config(page_title="seglab", page_icon="seglab/ui/icon.png", layout="wide")
st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare:", default=True),
        st.Page("pages/convergence.py", title="Convergence", icon=":material/show_chart:"),
        st.Page("pages/classes.py", title="Classes", icon=":material/category:"),
        st.Page("pages/gradcam.py", title="Grad-CAM", icon=":material/center_focus_strong:"),
        st.Page("pages/robustness.py", title="Robustness", icon=":material/rainy:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
    ],
    position="top",
).run()
