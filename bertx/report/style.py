"""How pages look: light and dark, on a phone, on a desk and on paper."""

from __future__ import annotations

from typing import Final

# Blue and orange are told apart by every kind of colour blindness, and both stand out from grey. All text
# has a contrast of at least 4.5 to what is behind it, all lines that mean something one of 3.
CSS: Final = """
:root { color-scheme: light dark; --ink: #1a1f26; --soft: #586270; --line: #d7dce2; --paper: #ffffff;
  --panel: #f5f7f9; --base: #6a7480; --main: #0b62a8; --bad: #b04a08; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a4aeba; --line: #3a434e;
  --paper: #13171c; --panel: #1c2229; --base: #98a3af; --main: #6cb4f5; --bad: #f29a5c; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 74rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
p, ul { max-width: 46rem; margin: .4rem 0 .8rem; }
ul { padding-left: 1.2rem; }
.kicker, .note, figcaption, .legend { color: var(--soft); font-size: .875rem; }
.summary { font-size: 1.08rem; max-width: 50rem; }
code { font: .875em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--panel); padding: .8rem; font-size: .85rem; }
pre code { overflow-wrap: normal; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem .4rem 0; text-align: left; vertical-align: middle;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; } tbody th.text { font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
.text { min-width: 16rem; max-width: 34rem; overflow-wrap: anywhere; }
.name { min-width: 11rem; max-width: 18rem; overflow-wrap: anywhere; }
.changes { display: block; max-width: 20rem; font-weight: 400; color: var(--soft); font-size: .8rem; }
.range { display: block; color: var(--soft); font-size: .8rem; }
.badge { display: inline-block; min-width: 1.5em; padding: 0 .35em; margin-right: .4em; border-radius: 1em;
  background: var(--panel); border: 1px solid var(--line); color: var(--ink); text-align: center;
  font-size: .8rem; font-weight: 600; }
.better { color: var(--main); font-weight: 600; } .worse { color: var(--bad); font-weight: 600; }
.warning { border-left: 4px solid var(--bad); background: var(--panel); padding: .5rem .9rem; }
.warning p, .warning ul { margin: .2rem 0; }
.facets { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr));
  gap: 1rem 1.5rem; align-items: start; }
.facets.wide { grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); }
.words { white-space: nowrap; }
.vote { display: block; white-space: nowrap; } .wrong { color: var(--bad); }
figure { margin: .4rem 0; break-inside: avoid; }
figcaption { margin-bottom: .2rem; overflow-wrap: anywhere; } figcaption strong { color: var(--ink); }
figure svg { display: block; width: 100%; max-width: 27rem; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; margin: .3rem 0; }
.legend svg { vertical-align: middle; margin-right: .4rem; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--main); }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft); }
svg .ink { fill: var(--ink); } svg .strong { fill: var(--ink); font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .axis { stroke: var(--base); stroke-width: 1; }
svg .zero { stroke: var(--base); stroke-width: 1; stroke-dasharray: 2 3; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; } svg .band { stroke: none; opacity: .22; }
svg .main { stroke: var(--main); } svg .base { stroke: var(--base); } svg .bad { stroke: var(--bad); }
svg .dashed { stroke-dasharray: 5 3; }
svg .fill-main { fill: var(--main); } svg .fill-base { fill: var(--base); }
svg .fill-bad { fill: var(--bad); }
svg .interval { stroke-width: 2; } svg .hollow { fill: var(--paper); stroke-width: 1.5; }
svg .marker { stroke: var(--paper); stroke-width: 1.5; } svg .leader { stroke: var(--base); stroke-width: 1; }
@media (max-width: 40rem) {
  .text { min-width: 12rem; } th, td { padding-right: .55rem; }
  .cards table, .cards tbody, .cards tr { display: block; } .cards thead { display: none; }
  .cards tr { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem; margin: 0 0 .8rem; }
  .cards th, .cards td { display: flex; justify-content: space-between; align-items: center; gap: 1rem;
    border: 0; padding: .2rem 0; text-align: right; white-space: normal; max-width: none; }
  .cards tbody th, .cards .text { display: block; text-align: left; }
  .cards td[data-label]::before { content: attr(data-label); color: var(--soft); font-size: .875rem; }
  .cards .text::before { content: none !important; }
}
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; }
  table { font-size: 8pt; } .text { min-width: 0; } .facets { grid-template-columns: repeat(2, 1fr); }
  h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
