"""How the report page looks: one style sheet, readable on paper, wide screens and telephones."""

CSS = """
:root { --ink: #1f2933; --quiet: #52606d; --line: #d9e0e7; --wash: #f5f7fa; --accent: #0b5c8f;
  --good: #0b6b50; --bad: #a33a00; --warn: #fff4d6; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 0 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0 1rem; }
a { color: var(--accent); }
.lead, .note, figcaption, footer { color: var(--quiet); }
.note, figcaption, footer { font-size: .875rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; padding: .5rem; }
.banner { background: var(--warn); border-left: .4rem solid #b7791f; padding: .9rem 1.25rem;
  margin: 1.25rem 0; font-weight: 600; max-width: none; }
nav ul { display: flex; flex-wrap: wrap; gap: .35rem .5rem; list-style: none;
  margin: 1.25rem 0 0; padding: 0; }
nav a { display: block; padding: .2rem .7rem; border: 1px solid var(--line); border-radius: 1rem;
  text-decoration: none; font-size: .9rem; }
nav a:hover, nav a:focus { background: var(--wash); }
main > section { border-top: 1px solid var(--line); margin-top: 2.25rem; padding-top: 1.75rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .9rem;
  margin: 1.5rem 0; }
.tile { border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1.1rem; }
.tile b { display: block; font-size: 1.75rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: .85rem; color: var(--quiet); }
.scroll { overflow-x: auto; margin: .5rem 0 .25rem; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .4rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .3rem; }
tbody th { font-weight: 600; white-space: normal; min-width: 9rem; }
thead th { color: var(--quiet); font-weight: 600; vertical-align: bottom; white-space: normal;
  min-width: 4.2rem; border-bottom: 2px solid var(--line); }
tbody tr:hover { background: var(--wash); }
.words td:nth-child(2), .words th:nth-child(2) { text-align: left; }
.control { border: 2px dashed var(--bad); border-radius: .6rem; padding: 1rem 1.25rem; }
.control h3 { color: var(--bad); margin-top: 0; }
figure { margin: 1.25rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
.side { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: flex-start; }
.side > * { min-width: 0; max-width: 100%; flex: 1 1 22rem; }
.side > figure { flex: 0 1 36rem; }
figure.wide { overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .8rem;
  padding: 0; list-style: none; }
.cards li { border: 1px solid var(--line); border-left: .3rem solid var(--good); border-radius: .5rem;
  padding: .7rem .9rem; }
.cards li.wrong { border-left-color: var(--bad); }
.cards audio { width: 100%; height: 2.2rem; margin-top: .4rem; }
.cards.texts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.aligned { display: flex; flex-wrap: wrap; gap: .35rem .5rem; margin: 0 0 .4rem; max-width: none; }
.aligned > span { display: flex; flex-direction: column; line-height: 1.35; }
.aligned .quiet { color: var(--quiet); }
.aligned del, .aligned ins, .key del, .key ins { text-decoration: none; }
.aligned b { font-weight: 700; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: .5rem 0 1rem; }
.key b { display: inline-block; min-width: 1.1em; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.pair { margin: 0; font-size: 1.05rem; }
.pair small { color: var(--quiet); }
del { color: var(--bad); background: #fdeee6; text-decoration-thickness: 2px; }
ins { color: var(--accent); background: #e6f1f9; font-weight: 600; }
code { font-size: .85em; overflow-wrap: anywhere; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
footer { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1.25rem; padding-bottom: 3rem; }
@media (max-width: 36rem) { h1 { font-size: 1.5rem; } header { padding-top: 1.5rem; }
  header, main, footer { padding-left: .9rem; padding-right: .9rem; } th, td { padding: .35rem .5rem; }
  .control { padding: .75rem; } figure.wide img { max-width: none; width: 44rem; } }
@media print { nav, audio { display: none; } }
"""
