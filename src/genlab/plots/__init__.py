"""Every picture of the book: functions (axes, data) -> axes, one colour per meaning.

    from genlab import plots

theme: colours, style, panels.  plane: pictures of [-box, box]².  numbers: curves, bars and strips
beside their limits.  motion: animations with a still for print.
"""

from genlab.plots.motion import animation
from genlab.plots.numbers import bars, distributions, histories, null_strip
from genlab.plots.plane import arrows, density, energy, log_density_grid, scatter
from genlab.plots.theme import COLORS, DPI, color, panels, style

__all__ = [
    "COLORS",
    "DPI",
    "animation",
    "arrows",
    "bars",
    "color",
    "density",
    "distributions",
    "energy",
    "histories",
    "log_density_grid",
    "null_strip",
    "panels",
    "scatter",
    "style",
]
