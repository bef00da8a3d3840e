"""Formulas as MathML: browsers draw it themselves, without a script and without a network."""

import re
from xml.etree import ElementTree

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util.math import get_node_equation_number

# What latex2mathml does not know, or spaces badly, in words that it knows.
KNOWN = {r"\mathrm": r"\text", "{aligned}": "{align*}"}

# A prime is high by itself: as an exponent it would be too high.
PRIMED = re.compile("<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")

MATHML = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", MATHML)
OPERATORS = set("=≈≤≥←+−")
OPENING, CLOSING = set("(["), set(")]")


def to_mathml(latex, display):
    """One formula, ``display`` being "block" or "inline"."""
    for word, other in KNOWN.items():
        latex = latex.replace(word, other)
    return PRIMED.sub(r"\1<mtext>&#x02032;</mtext>", convert(latex, display=display))


def sign(element):
    """The sign that stands here, also below an exponent; "" where there is none."""
    name = element.tag.rpartition("}")[2]
    if name in ("msup", "msub", "msubsup"):
        return sign(element[0])
    return element.text if name == "mo" else ""


def parts(row):
    """A formula's elements, in the parts between which a narrow screen may break its line.

    A part begins at a wide space, or at an operator outside of all brackets and norms.
    """
    found, depth, norm, before = [[]], 0, False, "="
    for element in row:
        now = sign(element)
        wide = element.tag == f"{{{MATHML}}}mspace" and element.get("width") in ("1em", "2em")
        breaks = now in OPERATORS and before not in OPERATORS
        if depth == 0 and not norm and (wide or breaks) and found[-1]:
            found.append([])
        found[-1].append(element)
        depth += (now in OPENING) - (now in CLOSING)
        norm ^= now == "‖"
        before = now
    return found


def in_parts(latex):
    """A displayed formula as HTML, which breaks into lines where the screen is narrow."""
    wholes = []
    for elements in parts(ElementTree.fromstring(to_mathml(latex, "block"))[0]):
        wide = elements[0].tag == f"{{{MATHML}}}mspace"
        if wide or not wholes:
            wholes.append([])
        math = ElementTree.Element(f"{{{MATHML}}}math", displaystyle="true")
        math.extend(elements[wide:])
        if wholes[-1] and sign(math[0]) in OPERATORS:
            math[0].set("form", "infix")  # not the sign of a number, though it stands first
        wholes[-1].append(ElementTree.tostring(math, encoding="unicode"))
    return " ".join(f'<span class="whole">{"<wbr>".join(whole)}</span>' for whole in wholes)


def visit_inline(self, node):
    """A formula within a sentence."""
    self.body.append(to_mathml(node.astext(), "inline"))
    raise SkipNode


def visit_block(self, node):
    """A formula on a line of its own, with its number and a link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    self.body.append(f'<div class="formula">{in_parts(node.astext())}</div>')
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
