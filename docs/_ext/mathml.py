"""Formulas as MathML: browsers draw it themselves, without a script and without a network."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util.math import get_node_equation_number

# What latex2mathml does not know, or spaces badly, in words that it knows.
KNOWN = {r"\mathrm": r"\text", "{aligned}": "{align*}"}

# A prime is high by itself: as an exponent it would be too high.
PRIMED = re.compile("<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")


def to_mathml(latex, display):
    """One formula, ``display`` being "block" or "inline"."""
    for word, other in KNOWN.items():
        latex = latex.replace(word, other)
    return PRIMED.sub(r"\1<mtext>&#x02032;</mtext>", convert(latex, display=display))


def visit_inline(self, node):
    """A formula within a sentence."""
    self.body.append(to_mathml(node.astext(), "inline"))
    raise SkipNode


def visit_block(self, node):
    """A formula on a line of its own, with its number and a link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    self.body.append(to_mathml(node.astext(), "block"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise SkipNode


def setup(app):
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
