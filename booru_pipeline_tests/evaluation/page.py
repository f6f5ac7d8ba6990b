"""Reads report.html as a browser's parser would."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


class Page(HTMLParser):
    """What a browser would fetch or run, the text that it shows, and whether elements nest.

    Attributes:
        elements: Names of the elements, in order.
        fetched: Whatever an attribute makes a browser load or open.
        text: What is shown.
        style: The style sheets.
        script: The scripts.
        ids: Values of `id`.
        labels: Values of `aria-label`.
    """

    def __init__(self, content):
        super().__init__()
        self.elements, self.fetched, self.ids, self.labels = [], [], [], []
        self.style = self.script = self.text = ""
        self._open = []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        self.ids += [value for name, value in attrs if name == "id"]
        self.labels += [value for name, value in attrs if name == "aria-label"]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        where = self._open[-1] if self._open else ""
        if where == "style":
            self.style += data
        elif where == "script":
            self.script += data
        else:
            self.text += data
