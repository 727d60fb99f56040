"""Tidy tables to Plotly figures, one file a page. No I/O, no Streamlit; fractions come in, percent goes on screen."""
