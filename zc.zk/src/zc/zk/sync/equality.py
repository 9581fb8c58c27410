"""Whether properties are the same to JSON: to Python, 1 is True as well."""
import json

_SCALARS = frozenset({str, int, bool, type(None)})


def are_alike(old: dict, new: dict) -> bool:
    """Are these properties the same, as far as can be seen at once?"""
    if old != new:
        return False
    for name, value in new.items():
        kind = type(value)
        if kind is not str and (
                kind not in _SCALARS or kind is not type(old[name])):
            return False
    return True


def is_same(old: object, new: object) -> bool:
    """Are these values, or properties, the same?"""
    if type(old) is type(new) and type(new) in _SCALARS:
        return old == new
    return _canonical(old) == _canonical(new)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
