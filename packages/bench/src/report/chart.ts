import type { Benchmark, Results } from '../harness/types.ts';
import { figuresOf, type MeasuredFigure, type Spread } from './figures.ts';

const width = 900;
const labelWidth = 210;
const barWidth = 500;
const barHeight = 16;
const step = 22;
const panelGap = 46;

/** A chart of the figures that were chosen for it: bars of ours and theirs, readable on light and dark ground. */
export function renderChart(results: Results, benchmarks: readonly Benchmark[]): string {
  const figures = benchmarks.flatMap((benchmark) => {
    const measurement = results.measurements.find(({ benchmark: name }) => name === benchmark.name);
    return measurement ? figuresOf(benchmark, measurement).filter(({ figure }) => figure.inChart) : [];
  });
  const panels: string[] = [];
  let top = 12;
  for (const figure of figures) {
    panels.push(renderPanel(figure, top));
    top += panelGap + (figure.peers.length + 1) * step;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" role="img" aria-label="Ours beside the peers">\n${style}\n${panels.join('\n')}\n</svg>\n`;
}

const style = `<style>
  svg { background: #ffffff; font: 13px system-ui, sans-serif; }
  text { fill: #1f2328; } .quiet { fill: #59636e; } .ours { fill: #1a7f5a; } .peer { fill: #a6afb9; }
  .title { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .ours { fill: #3fb98a; } .peer { fill: #545d68; }
  }
</style>`;

function renderPanel(measured: MeasuredFigure, top: number): string {
  const { figure, ours, peers } = measured;
  const all = [ours, ...peers];
  const longest = Math.max(...all.map((spread) => spread.median));
  const direction = figure.better === 'lower' ? 'shorter is better' : 'longer is better';
  const title = `<text class="title" x="12" y="${top + 14}">${escape(figure.title)}<tspan class="quiet" font-weight="400">  ${escape(figure.unit)}, ${direction}</tspan></text>`;
  const bars = all.map((spread, index) => renderBar(measured, spread, { longest, y: top + 24 + index * step }));
  return [title, ...bars].join('\n');
}

function renderBar({ figure, ours }: MeasuredFigure, spread: Spread, { longest, y }: { longest: number; y: number }): string {
  const length = Math.max(1, (spread.median / longest) * barWidth);
  const value = spread.median.toLocaleString('en', { minimumFractionDigits: figure.digits, maximumFractionDigits: figure.digits });
  return [
    `<text x="${labelWidth}" y="${y + 12}" text-anchor="end">${escape(spread.variant)}</text>`,
    `<rect class="${spread === ours ? 'ours' : 'peer'}" x="${labelWidth + 10}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
    `<text x="${(labelWidth + 18 + length).toFixed(1)}" y="${y + 12}">${value}</text>`,
  ].join('');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
