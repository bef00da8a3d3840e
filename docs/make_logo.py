"""The logo and the icon: four filters and one of images/natural_image_edges.png.

``python docs/make_logo.py`` writes _static/logo.png and _static/favicon.png. The first example
makes the picture; its filters stand in a grid of 10 by 10, each of 8 by 8 pixels.
"""

from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
FIRST, STEP, WIDTH = (77, 18), 87, 80  # of the grid in the picture, in its pixels
LOGO = [[(5, 5), (0, 9)], [(9, 2), (4, 9)]]
ICON = [[(4, 9)]]


def filters(picture, places, size, gap):
    """The filters at ``places`` as one picture, each of ``size`` by ``size`` pixels."""
    rows = [[one(picture, place, size, gap) for place in row] for row in places]
    return Image.fromarray(np.block(rows)[gap:, gap:])


def one(picture, place, size, gap):
    """One filter, with a white gap above and on its left."""
    y, x = (start + STEP * k for start, k in zip(FIRST, place))
    box = Image.fromarray(picture[y : y + WIDTH, x : x + WIDTH]).resize((8, 8), Image.BOX)
    pixels = np.asarray(box.resize((size, size), Image.NEAREST))
    return np.pad(pixels, [(gap, 0), (gap, 0)], constant_values=255)


if __name__ == "__main__":
    picture = np.asarray(Image.open(HERE / "images" / "natural_image_edges.png").convert("L"))
    filters(picture, LOGO, size=32, gap=4).save(HERE / "_static" / "logo.png", optimize=True)
    filters(picture, ICON, size=64, gap=0).save(HERE / "_static" / "favicon.png", optimize=True)
