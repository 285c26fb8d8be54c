"""Draws what the simulator wrote (CSV) as SVG: `plots.py SERIES FOLDER`. Mid-tones on nothing, to be read on white and on black."""

import csv
import pathlib
import sys

TITLES = {
    "fall": "20 → 2 → 20 Mb/s, queue of 100 ms, round trip of 20 ms",
    "cubic": "20 Mb/s, queue of 100 ms; a download (CUBIC) from second 10 to 45",
    "start": "The start on 50 Mb/s",
    "radio": "20 Mb/s by a radio: bursts every 5–10 ms, stalls of up to 60 ms",
}
WIDTH, LEFT, RIGHT, TOP, GAP, BOTTOM = 760, 44, 12, 52, 22, 30
INK, GRID = "#768390", 0.25
PATH, ESTIMATE, PASSED, OTHER, QUEUE, WHOLE = "#8b949e", "#d9822b", "#2f81f7", "#c2569b", "#8a63d2", "#2da44e"
# Height, what the axis says, its columns with their names and colours.
PANELS = (
    (190, "Mb/s", (("path", "path", PATH), ("estimate", "estimate", ESTIMATE), ("passed", "ours that arrives", PASSED), ("other", "CUBIC", OTHER))),
    (80, "ms", (("queue", "queue, p95 of each tenth of a second", QUEUE),)),
    (56, "1/s", (("whole", "whole pictures in the last second, of 25", WHOLE),)),
)
STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500)


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        sys.exit(f"error: {path} is empty")
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def ticks(most, count):
    """Round steps up to the most, at most so many."""
    step = next((step for step in STEPS if most / step <= count), STEPS[-1])
    return [step * n for n in range(int(most / step + 1e-9) + 1)]


def text(x, y, words, anchor="start", size=11, colour=INK, weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'


def line(x1, y1, x2, y2, look):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'


def panel(series, top, height, axis, columns, x):
    """The parts of one panel."""
    most = 25.0 if axis == "1/s" else max(max(series[name]) for name, *_ in columns) * 1.05
    most = max(most, 10.0)
    y = lambda value: top + height * (1 - value / most)
    parts = [text(LEFT, top - 6, axis, "end", 10)]
    for tick in ticks(most, 5 if height > 100 else 3):
        parts += [line(LEFT, y(tick), WIDTH - RIGHT, y(tick), f'stroke="{INK}" stroke-opacity="{GRID}"'), text(LEFT - 5, y(tick) + 3.5, f"{tick:g}", "end", 10)]
    for name, _, colour in columns:
        points = [(x(at), y(value)) for at, value in zip(series["t"], series[name])]
        if name == "path":
            # What holds in a step is drawn over all of it.
            points = [(LEFT, points[0][1]), *(corner for (_, high), (at, next_high) in zip(points, points[1:] + points[-1:])
                                              for corner in ((at, high), (at, next_high)))]
            area = " ".join(f"{px:.1f},{py:.1f}" for px, py in [(LEFT, y(0)), *points, (points[-1][0], y(0))])
            parts.append(f'<polygon points="{area}" fill="{colour}" fill-opacity="0.18"/>')
        elif name == "other" and not any(series[name]):
            continue
        drawn = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>')
    return parts


def legend(series, columns, y, x):
    parts = []
    for name, words, colour in columns:
        if name != "other" or any(series[name]):
            parts += [line(x, y - 4, x + 16, y - 4, f'stroke="{colour}" stroke-width="3"'), text(x + 21, y, words)]
            x += 36 + 6.1 * len(words)
    return parts


def draw(name, series):
    end = series["t"][-1]
    x = lambda at: LEFT + (WIDTH - LEFT - RIGHT) * at / end
    parts, top = [text(LEFT, 18, TITLES[name], size=13, weight="bold")], TOP
    for height, axis, columns in PANELS:
        parts += legend(series, columns, top - 6, LEFT + 12)
        parts += panel(series, top, height, axis, columns, x)
        top += height + GAP
    bottom = top - GAP
    for tick in ticks(end, 12):
        parts.append(text(x(tick), bottom + 15, f"{tick:g}" + (" s" if tick == 0 else ""), "middle", 10))
    height = bottom + BOTTOM
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f"<title>{TITLES[name]}</title>", *parts, "</svg>"]) + "\n"


def main(source, target):
    for name in TITLES:
        (target / f"{name}.svg").write_text(draw(name, read(source / f"{name}.csv")))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:3]))
