"""How the report looks: one style sheet, light and dark, from a phone to a desk."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark;
  --paper:#f6f5f1; --card:#ffffff; --ink:#14171f; --soft:#5b6271; --faint:#8b91a0; --line:#e4e2db;
  --track:#eceae4;
  --agent:#c07a00; --agent-soft:#f3dfb4; --imagined:#4c59d8; --bad:#cc2950; --good:#0b8560;
  --floor:#a3a8b4; }
@media (prefers-color-scheme: dark) { :root {
  --paper:#0c0e15; --card:#141722; --ink:#eef0f6; --soft:#a3aabb; --faint:#737b8d; --line:#252a39;
  --track:#1f2432;
  --agent:#ffcf5c; --agent-soft:#4a3d1c; --imagined:#93a8ff; --bad:#ff6f8f; --good:#4fd1a5;
  --floor:#5d6577; } }
* { box-sizing:border-box }
html { scroll-behavior:smooth; -webkit-text-size-adjust:100% }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior:auto } }
body { margin:0; background:var(--paper); color:var(--ink); line-height:1.55; font-size:16px;
  font-family:Inter,ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;
  font-variant-numeric:tabular-nums }
main, header.hero, footer, nav.sections > div { max-width:1120px; margin:0 auto; padding:0 24px }
h1, h2, h3 { line-height:1.15; letter-spacing:-.02em; margin:0; text-wrap:balance }
h1 { font-size:clamp(2rem, 4.6vw, 3.3rem); font-weight:680 }
h2 { font-size:clamp(1.45rem, 2.6vw, 2rem); font-weight:660; max-width:24em }
h3 { font-size:1rem; font-weight:620; letter-spacing:-.01em }
p { margin:.5em 0; max-width:44em } a { color:inherit }
.lead { color:var(--soft); font-size:1.06rem; margin-top:.8em }
.note { color:var(--soft); font-size:.9rem } .small { font-size:.84rem; color:var(--soft) }
.eyebrow { color:var(--soft); font-size:.82rem; font-weight:560; margin:0 0 .7em }
nav.sections { position:sticky; top:0; z-index:5; border-bottom:1px solid var(--line);
  background:color-mix(in srgb, var(--paper) 88%, transparent); backdrop-filter:blur(10px) }
nav.sections > div { display:flex; gap:22px; overflow-x:auto; scrollbar-width:none; font-size:.87rem }
nav.sections a { padding:11px 0; text-decoration:none; color:var(--soft); white-space:nowrap }
nav.sections a:hover { color:var(--ink) }
header.hero { padding-top:56px; padding-bottom:44px; display:grid; gap:44px; align-items:center;
  grid-template-columns:minmax(0,1.02fr) minmax(0,1fr) }
section { padding:56px 0 8px; scroll-margin-top:40px }
section + section { border-top:1px solid var(--line); margin-top:48px }
.grid { display:grid; gap:20px; margin-top:26px;
  grid-template-columns:repeat(auto-fill, minmax(min(100%,310px),1fr)) }
.grid.wide { grid-template-columns:repeat(auto-fill, minmax(min(100%,470px),1fr)) }
.grid.tight { gap:14px; grid-template-columns:repeat(auto-fill, minmax(min(100%,215px),1fr)) }
.card { background:var(--card); border:1px solid var(--line); border-radius:14px; padding:16px;
  min-width:0 }
.card > h3 + * { margin-top:10px }
.facts { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%,168px),1fr));
  gap:26px 30px; margin:34px 0 0 }
.facts dt { color:var(--soft); font-size:.86rem; line-height:1.35 }
.facts dd { margin:0 0 4px; font-size:1.5rem; font-weight:640; letter-spacing:-.02em }
.facts > div { border-top:2px solid var(--line); padding-top:10px }
.score { font-size:clamp(4rem, 10.5vw, 7.4rem); font-weight:700; line-height:.95; letter-spacing:-.05em;
  margin:.18em 0 .1em;
  color:var(--agent) }
.score small { font-size:.42em; letter-spacing:-.02em; margin-left:.06em }
.bars { display:grid; grid-template-columns:max-content minmax(90px,1fr) max-content; gap:9px 14px;
  align-items:center;
  font-size:.9rem; margin-top:16px }
.bars > span:nth-child(3n) { text-align:right; font-weight:600 }
.bar { position:relative; height:16px; background:var(--track); border-radius:5px }
.bar i { position:absolute; inset:0 auto 0 0; border-radius:5px; background:var(--floor); min-width:2px }
.bar b { position:absolute; top:50%; height:2px; margin-top:-1px; background:var(--ink); opacity:.75 }
.bar b::before, .bar b::after { content:""; position:absolute; top:-4px; width:2px; height:10px;
  background:inherit }
.bar b::before { left:0 } .bar b::after { right:0 }
.bar.agent i { background:var(--agent) } .bar.imagined i { background:var(--imagined) }
  .bar.bad i { background:var(--bad) }
.bar.good i { background:var(--good) }
img, svg { display:block; max-width:100% } .pixels { image-rendering:pixelated; width:100%; height:auto;
  border-radius:6px }
.film { display:grid; grid-template-columns:64fr 132fr; gap:2.2%; align-items:start; background:#090a10;
  padding:10px 10px 8px;
  border-radius:12px }
.film figure { margin:0 } .film .pixels { border-radius:3px }
.film figcaption { display:flex; gap:3%; color:#a3aabb; font-size:.76rem; padding-top:6px }
  .film figcaption span { flex:1 }
.strip { background:#090a10; border-radius:12px; padding:12px; overflow-x:auto; margin-top:26px }
.strip div { min-width:660px } .strip .caption { color:#a3aabb; font-size:.76rem; padding:2px 0 5px }
.strip .caption + .pixels + .caption { padding-top:12px }
.map { border-radius:10px; width:100%; height:auto; background:#0e1018 }
.map .way { fill:none; stroke:#ffcf5c; stroke-width:.85; stroke-linejoin:round; stroke-linecap:round }
.map .dream { fill:none; stroke:#93a8ff; stroke-width:.5; stroke-linejoin:round; stroke-linecap:round;
  opacity:.22 }
.map .dream.first { stroke-width:.8; stroke-dasharray:1.7 1.3; opacity:1 }
.map .free { fill:none; stroke:#ff6f8f; stroke-width:.75; stroke-dasharray:1.4 1.1;
  stroke-linejoin:round }
.map .zone { fill:url(#hatch); stroke:#ff6f8f; stroke-width:.45 }
.map .believed { fill:none; stroke:#fff; stroke-width:.5; stroke-dasharray:1.2 1 }
.map .level { fill:none; stroke:#000; stroke-opacity:.35; stroke-width:.28 }
.map .goal { fill:none; stroke:#fff; stroke-width:.7 } .map .under .goal { stroke:#0e1018;
  stroke-width:1.5; opacity:.75 }
.map.heat .zone { fill:url(#dark); stroke:#0e1018; stroke-width:.5 } .map .start { fill:#fff;
  stroke:#0e1018; stroke-width:.3 }
.map .end { fill:#ffcf5c; stroke:#0e1018; stroke-width:.3 }
.legend { display:flex; flex-wrap:wrap; gap:5px 18px; font-size:.84rem; color:var(--soft);
  margin-top:12px; list-style:none; padding:0 }
.legend svg { display:inline-block; vertical-align:-1px; margin-right:7px }
.caption { font-size:.86rem; color:var(--soft); margin:10px 0 0; line-height:1.45 }
  .caption strong { color:var(--ink); font-weight:600 }
.tag { font-weight:640 } .tag.good { color:var(--good) } .tag.bad { color:var(--bad) }
.chart { width:100%; height:auto; overflow:visible; font-size:11px } .chart text { fill:var(--faint) }
.chart .name { fill:var(--soft) } .chart .axis { stroke:var(--line); stroke-width:1 }
.chart .line { fill:none; stroke-width:2; stroke-linejoin:round; stroke-linecap:round }
  .chart .band { opacity:.14 }
.metric b { display:block; font-size:1.35rem; font-weight:640; letter-spacing:-.02em; line-height:1.2;
  margin:3px 0 8px }
.metric { font-size:.86rem; color:var(--soft) } .metric b { color:var(--ink) }
.scroll { overflow-x:auto; margin-top:24px }
table { border-collapse:collapse; font-size:.92rem; min-width:100% }
th, td { text-align:right; padding:9px 0 9px 22px; border-bottom:1px solid var(--line);
  white-space:nowrap }
th:first-child, td:first-child { text-align:left; padding-left:0 } th { color:var(--soft);
  font-weight:540; font-size:.84rem }
td:first-child { white-space:normal } tr.own td { font-weight:640 } td.desc { white-space:normal;
  text-align:left; color:var(--soft) }
details { border:1px solid var(--line); border-radius:12px; background:var(--card); margin-top:14px }
summary { cursor:pointer; padding:13px 16px; font-weight:600; font-size:.95rem }
  details > div { padding:0 16px 14px; overflow-x:auto }
pre { margin:0; font-size:.8rem; line-height:1.5;
  font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace; color:var(--soft) }
code { font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace; font-size:.86em;
  overflow-wrap:anywhere }
footer { color:var(--soft); font-size:.86rem; padding-top:40px; padding-bottom:60px }
@media (max-width: 820px) { td:first-child { min-width:12em }
  header.hero { grid-template-columns:minmax(0,1fr); padding-top:34px;
  gap:28px }
  main, header.hero, footer, nav.sections > div { padding-left:18px; padding-right:18px }
  section { padding-top:42px }
  .bars { gap:8px 10px; font-size:.84rem } }
@media print { nav.sections { display:none } .card, section { break-inside:avoid } }
"""

DEFINITIONS = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="2" height="2" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2" height="2" fill="#ff6f8f" fill-opacity=".16"/>'
    '<rect width=".55" height="2" fill="#ff6f8f" fill-opacity=".75"/></pattern>'
    '<pattern id="dark" width="2" height="2" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2" height="2" fill="#0e1018" fill-opacity=".2"/>'
    '<rect width=".6" height="2" fill="#0e1018" fill-opacity=".8"/></pattern></defs></svg>'
)
