"""A mask that the reader gives of a photo, and the label space of its ids."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.images import ImageError
from seglab.labels import SPACES, space
from seglab.predict.samples import LABEL_SPACE
from seglab.ui.photos import ShownPhoto, read_truth


def mask_space() -> str:
    """Let the reader say which label space the ids of a mask are of."""
    words = "The mask's ids are those of"
    spaces = [LABEL_SPACE, *(key for key in SPACES if key != LABEL_SPACE)]  # that of the models here first
    return str(st.selectbox(words, spaces, format_func=lambda key: space(key).title, key="truth-space"))


def uploaded_mask(photo: ShownPhoto, source: str) -> NDArray[np.uint8] | None:
    """Let the reader give a mask of a photo, with ids of a label space; none where there is none that can be used."""
    file = st.file_uploader(
        f"A mask of {photo.width} by {photo.height} pixels: an 8-bit PNG of class ids",
        type=["png"],
        max_upload_size=16,
        key=f"truth-upload-{photo.key}",  # a mask belongs to its photo
    )
    if file is None:
        return None
    try:
        mask = read_truth(file.getvalue(), file.name, photo)
    except ImageError as error:
        st.error(str(error), icon=":material/broken_image:")
        return None
    of = space(source)
    if (mask >= of.num_classes).all():
        st.error(f"No pixel of {file.name} holds an id of {source}; choose the label space its ids belong to.")
        return None
    strange = float((~np.isin(mask, (*range(of.num_classes), *of.void))).mean())
    if strange:
        st.warning(f"{strange:.1%} of {file.name} holds ids that {of.title} does not have; they are left out.")
    return mask
