"""What the pages are made of. Only this folder, and no other, imports Streamlit.

One folder a page (``compare``, ``convergence``, ``classes``, ``gradcam``, ``robustness``, ``runs``), which imports no
other page's. What pages share lies here: ``page`` (title, tabs), ``models`` (which are on offer), ``photos``,
``truth`` (masks of a photo), ``asking`` and ``waiting`` (for models), ``workbench`` and ``answers`` (models in
memory, one queue), ``explaining`` (Grad-CAM behind the pages), ``boxes``, ``results`` (the store, charts, captions),
``image_counts``, ``viewer/`` (photo and masks in the browser). ``serve`` puts dashboard and service into one process.
A new tab is a function named in its page's dictionary of tabs.
"""
