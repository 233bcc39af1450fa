"""PURE: how report.html looks, by day and by night."""

STYLE = """
:root {
  --paper: #fbfbf9; --ink: #1c2124; --soft: #5b656a; --line: #d5dadc; --ours: #1f5fa8; --reference: #6e767a;
  --limit: #b3261e; --met: #1b6e3c; --missed: #b3261e; --unknown: #7a5a00;
  --way0: #6e767a; --way1: #1f5fa8; --way2: #0f7b6c; --way3: #7b3fa0; --way4: #b3541e; --way5: #a8326b; --way6: #5d7a1a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171b1d; --ink: #e7ebec; --soft: #a3adb2; --line: #3a4347; --ours: #7db4f5; --reference: #b0b8bc;
    --limit: #ff8a80; --met: #6fd497; --missed: #ff8a80; --unknown: #e6c260;
    --way0: #b0b8bc; --way1: #7db4f5; --way2: #5fd0bd; --way3: #c79be6; --way4: #f0a06a; --way5: #f08bb8;
    --way6: #b5d060;
  }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; }
.lead { font-size: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
td.why, section:last-child td { white-space: normal; }
section:last-child th { width: 16rem; }
td.why { color: var(--soft); }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
th small { display: block; font-weight: 400; color: var(--soft); min-width: 16rem; }
.met { color: var(--met); } .missed { color: var(--missed); } .unknown { color: var(--unknown); }
figure { margin: 1.2rem 0 2rem; }
figcaption { color: var(--soft); font-size: .9rem; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
text { fill: var(--ink); }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.mark { fill: var(--soft); font-size: 11px; }
.axis, .grid { stroke: var(--line); stroke-width: 1; }
.ours { --own: var(--ours); } .reference { --own: var(--reference); }
.way0 { --own: var(--way0); } .way1 { --own: var(--way1); } .way2 { --own: var(--way2); } .way3 { --own: var(--way3); }
.way4 { --own: var(--way4); } .way5 { --own: var(--way5); } .way6 { --own: var(--way6); }
.dot { fill: var(--own); fill-opacity: .5; }
.over { fill: var(--ink); fill-opacity: .55; }
.bar { fill: var(--own); fill-opacity: .75; }
.median { stroke: var(--own); stroke-width: 2; }
.value { fill: var(--own); font-weight: 600; }
.way { fill: none; stroke: var(--own); stroke-width: 2; }
.limit { stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 5 3; }
.limit-text { fill: var(--limit); }
"""
