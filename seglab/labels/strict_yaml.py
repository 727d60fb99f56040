"""YAML that may come from a stranger: plain values, read in bounded time and memory, nothing said twice."""

from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where PyYAML was built with it
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

MAX_BYTES = 256 * 2**10
MAX_DEPTH = 8
MAX_LENGTH = 1000  # of one value; a number of 250 KB takes seconds to read


class _Loader(SafeLoader):
    """Refuses what safe YAML allows still: a key that is given twice, of which the last would win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="it has a key that is no text", problem_mark=key.start_mark)
            if key.value in seen:
                words = f"it has the key {key.value[:40]!r} twice"
                raise yaml.MarkedYAMLError(problem=words, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(data: bytes, file: str) -> object:
    """Return the values of one YAML document.

    Args:
        data: the file's bytes, UTF-8.
        file: what messages call it.

    Raises:
        ValueError: where it is too large, too deep, has aliases (a few lines of them can stand for gigabytes) or tags (which
            can ask for objects), gives a key twice or is no YAML.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES // 2**10} KiB in {file}, got {len(data) / 2**10:.0f} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"expected UTF-8 text in {file}, got other bytes; save it as UTF-8") from None
    try:
        _check_shape(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        words = f"{_line(error.problem_mark)}{error.problem or error.context}"
        raise ValueError(f"{file} cannot be read as YAML, {words}") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError where a number or date is none
        raise ValueError(f"{file} cannot be read as YAML, {str(error).splitlines()[0]}") from None


def _check_shape(text: str) -> None:
    """Look at the file's events before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            words = "it has an anchor or alias; write the value out"
        elif getattr(event, "tag", None):
            words = "it has a tag; plain values need none"
        elif depth > MAX_DEPTH:
            words = f"it has more than {MAX_DEPTH} levels of lists and mappings"
        elif isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_LENGTH:
            words = f"it has a value of more than {MAX_LENGTH} characters"
        else:
            continue
        raise yaml.YAMLError(f"{_line(event.start_mark)}{words}")


def _line(mark: Any) -> str:
    return f"line {mark.line + 1}: " if mark else ""
