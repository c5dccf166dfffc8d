"""Plain HTML elements, whose text is text: nothing of it is ever read as HTML or Markdown."""

from typing import Any

from nicegui.elements.mixins.text_element import TextElement


class El(TextElement):
    """`El("a", "Jobs", "quiet", href="/")`: an element, its text, its classes and attributes.

    Of an attribute's name a last underscore is left out and others are hyphens: `for_`,
    `aria_label`. One whose value is None or False is not there.
    """

    def __init__(self, tag: str, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        for name, value in attributes.items():
            self.put(name, value)

    def put(self, name: str, value: Any) -> None:
        """Set an attribute, or take it away."""
        name = name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            self.props.pop(name, None)
        elif self.props.get(name) != value:
            self.props[name] = value

    def say(self, text: str) -> None:
        """Show another text; the browser hears of it where it is another one."""
        if text != self.text:
            self.text = text
