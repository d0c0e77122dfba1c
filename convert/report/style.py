"""Pure. How the report looks, dark and light, on a telephone and on a desk."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5d646d; --paper: #ffffff; --raised: #f3f4f6;
  --rule: #d7dade; --accent: #0b6bcb; --share: 11, 107, 203; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --soft: #a2a9b2; --paper: #15171a; --raised: #1f2226;
  --rule: #3a3f46; --accent: #6cb2ff; --share: 90, 160, 255; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--rule); padding-bottom: .2rem; }
p, li { max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.warning { border-left: 4px solid #d98200; padding: .3rem .8rem; background: var(--raised); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; padding: 0; list-style: none; }
.figures li { background: var(--raised); border-radius: .5rem; padding: .6rem .9rem; flex: 1 1 9rem; }
.figures strong { display: block; font-size: 1.5rem; line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .875rem; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, .words { text-align: left; }
tbody th { font-weight: 600; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: normal;
  overflow-wrap: normal; }
.share { display: block; margin: -.35rem -.6rem; padding: .35rem .6rem; min-width: 3rem; }
.pictures, .charts { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; }
.pictures img { width: 100%; height: auto; border-radius: .4rem; background: var(--raised); display: block; }
.none { background: var(--raised); border-radius: .4rem; padding: 2rem 1rem; text-align: center; color: var(--soft); }
svg { width: 100%; height: auto; max-width: 34rem; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.upright { transform: rotate(-90deg); transform-box: fill-box; transform-origin: center; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
circle { fill: currentColor; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .3rem 0; list-style: none;
  font-size: .875rem; }
.swatch { display: inline-block; width: 1.2em; border-top: 3px solid currentColor; margin-right: .4em;
  vertical-align: middle; }
.line.dashed { stroke-dasharray: 6 4; }
.swatch.dashed { border-top-style: dashed; }
.s0 { color: #2a7de1; } .s1 { color: #d9480f; } .s2 { color: #2b9348; } .s3 { color: #b5179e; }
.s4 { color: #b08900; } .s5 { color: #0d9ba8; } .s6 { color: #8b5cf6; } .s7 { color: #7a7f87; }
.true { color: #2b9348; } .found { color: #e07a1f; }
"""
