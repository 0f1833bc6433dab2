#!/usr/bin/env python3
"""Latency distributions as an SVG, from the JSON that a benchmark prints.

    build/release/bin/call_bench > call.json && bench/plot.py < call.json > call.svg

One panel per section, one curve per row: the share of calls that took at most so long, on a logarithmic axis.
"""
import json, math, sys
from html import escape

WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 960, 300, 60, 330, 70, 50
COLOURS = ["#1b1b1b", "#0b6e4f", "#0b6e4f", "#1f5fbf", "#1f5fbf", "#c2571a", "#8c2f8c", "#777777"]


def ticks(low, high):
    """1, 2, 5 × 10^k within the range."""
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in (1, 2, 5):
            if low <= digit * 10 ** exponent <= high:
                yield digit * 10 ** exponent


def label(us):
    return f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} µs"


def panel(section, rows, y0):
    low = min(r["quantiles_us"][0] for r in rows) * 0.9
    high = max(r["quantiles_us"][-1] for r in rows) * 1.1
    span = math.log(high / low)
    x = lambda us: LEFT + (WIDTH - LEFT - RIGHT) * math.log(us / low) / span
    y = lambda share: y0 + PANEL - share * PANEL
    out = [f'<text x="{LEFT}" y="{y0 - 12}" font-weight="bold">{escape(section)}</text>']
    for tick in ticks(low, high):
        out.append(f'<path d="M{x(tick):.1f} {y0}V{y0 + PANEL}" stroke="#ddd"/>'
                   f'<text x="{x(tick):.1f}" y="{y0 + PANEL + 16}" text-anchor="middle">{label(tick)}</text>')
    for share in (0, 0.25, 0.5, 0.75, 0.95, 1):
        out.append(f'<path d="M{LEFT} {y(share):.1f}H{WIDTH - RIGHT}" stroke="#eee"/>'
                   f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for i, row in enumerate(rows):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if "until gone" in row["name"] else ""
        points = " ".join(f"{x(us):.1f},{y(k / (len(row['quantiles_us']) - 1)):.1f}" for k, us in enumerate(row["quantiles_us"]))
        at = y0 + 14 + 22 * i
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
                   f'<path d="M{WIDTH - RIGHT + 14} {at - 4}h24" stroke="{colour}" stroke-width="2"{dash}/>'
                   f'<text x="{WIDTH - RIGHT + 44}" y="{at}">{escape(row["name"])}: {label(round(row["median_us"]))}</text>')
    return "\n".join(out)


def main():
    report = json.load(sys.stdin)
    sections = {}
    for row in report["rows"]:
        if "quantiles_us" in row:
            sections.setdefault(row["section"], []).append(row)
    height = len(sections) * (TOP + PANEL + BOTTOM) + 40
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
          f'<rect width="100%" height="100%" fill="white"/>'
          f'<text x="{LEFT}" y="24">{escape(report["bench"])}: {escape(report["method"])} ({escape(report["host"])})</text>')
    for i, (section, rows) in enumerate(sections.items()):
        print(panel(section, rows, 30 + TOP + i * (TOP + PANEL + BOTTOM)))
    print("</svg>")


if __name__ == "__main__":
    main()
