"""PURE: elements of a page and of its pictures; what they hold is escaped when they are written out."""

from xml.etree.ElementTree import Element, tostring

Inside = Element | str
"""What an element can hold: others, or text."""


def element(tag: str, *inside: Inside, **attributes: str | float) -> Element:
    """An element with its content in order.

    Args:
        tag: its name.
        inside: elements and texts.
        attributes: `kind` stands for `class`, an underscore for a dash; a number is written with one decimal digit.
    """
    made = Element(tag, {_name(name): _value(value) for name, value in attributes.items()})
    for each in inside:
        if isinstance(each, Element):
            made.append(each)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + each
        else:
            made.text = (made.text or "") + each
    return made


def document(root: Element) -> str:
    """The whole page as text."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _name(name: str) -> str:
    return "class" if name == "kind" else name.replace("_", "-")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
