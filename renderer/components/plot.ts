/** @file How a chart is drawn: axes that fit its numbers, colours from the tokens. */

import uPlot from 'uplot';
import { language } from '../strings/language.svelte.ts';
import { digitsOf } from './ticks.ts';

/** A curve of at least so many points is drawn without them. */
const MANY = 30;
const STRIDES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000];

export interface Plot {
  /** Where the chart stands, whose font and colours it takes. */
  readonly place: HTMLElement;
  /** One for each curve. */
  readonly labels: readonly string[];
  readonly width: number;
  readonly height: number;
}

export function plotOptions({ place, labels, width, height }: Plot): uPlot.Options {
  const colour = (token: string): string => computedColour(place, token);
  const ink = colour('--text-muted');
  const line = colour('--line');
  const font = `12px ${getComputedStyle(place).fontFamily}`;
  const axes = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font };
  return {
    width,
    height,
    padding: [10, 14, 0, 0],
    scales: {
      x: {
        time: false,
        range: (_, from, to) => (from === null || from === to ? [from ?? 0, (to ?? 0) + 1] : [from, to]),
      },
      y: { range: (_, from, to) => (from === null ? [0, 1] : uPlot.rangeNum(from, to, 0.1, true)) },
    },
    axes: [
      { ...axes, size: 34, incrs: STRIDES },
      {
        ...axes,
        size: 58,
        values: (_, ticks) => ticks.map((tick) => language.figure(tick, digitsOf(ticks))),
      },
    ],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    series: [
      {},
      ...labels.map((label, index) => ({
        label,
        stroke: colour(`--series-${(index % 6) + 1}`),
        width: 2,
        spanGaps: true,
        points: { show: ({ data }: uPlot) => data[0].length < MANY, size: 5 },
      })),
    ],
  };
}

/** A token as the browser computes it there: canvas knows no `light-dark`. */
function computedColour(place: HTMLElement, token: string): string {
  place.style.color = `var(${token})`;
  const computed = getComputedStyle(place).color;
  place.style.color = '';
  return computed;
}
