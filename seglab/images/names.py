"""File names from outside, made fit to write under."""

import re
import unicodedata

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_stem(name: str) -> str:
    """Return a stem to write files under: letters, digits and ``._-``, at most 80 characters, never empty or reserved.

    Two names can share a stem; telling them apart is the caller's matter.

    >>> safe_stem("../../My street: 1.jpg"), safe_stem("..")
    ('My_street_1', 'photo')
    """
    base = unicodedata.normalize("NFC", re.split(r"[\\/]", name)[-1])
    base = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", base)
    kept = "".join(c if c in "._-" or unicodedata.category(c)[0] in "LMN" else "_" for c in base)
    kept = re.sub(r"_+", "_", kept).strip("._-")
    if _RESERVED.match(kept):
        kept = f"photo_{kept}"
    kept = kept[:80].encode()[:180].decode(errors="ignore")  # file systems count bytes, and suffixes follow
    return kept.rstrip("._-") or "photo"
