"""Damaged videos: made by the hundred, and tried whether any is stored with wrong pictures and without a warning.

* `making`: sound videos, and ways in which files are damaged, each a function of a seed.
* `__main__`: `python -m tools.damage`, the campaign and its table.
* `clocks`: `python -m tools.damage.clocks`, videos whose frames show their numbers: is the right one stored?
"""
