/** Positions on the strip that compares a person with the representatives. */

import { scaleLinear } from 'd3-scale';

import type { Figures } from '../api/types';

export interface Strip {
  /** Positions in percent of the width. */
  own: number;
  others: number;
  interval: [number, number] | null;
  zero: number | null;
  /** Ticks with their positions. */
  ticks: { at: number; value: number }[];
}

/** Free space at both ends, percent of the width. */
const MARGIN = 5;

/** Places figures on a strip. The interval of the difference is shown around the person's mean. */
export function stripOf(figures: Pick<Figures, 'own' | 'others' | 'low' | 'high'>): Strip {
  const { own, others, low, high } = figures;
  const ends: [number, number] | null = low === null || high === null ? null : [others + low, others + high];
  const values = [own, others, ...(ends ?? [])];
  // Counts and shares start at zero, so that a strip does not enlarge small differences, and have no part below.
  const from = Math.min(own, others) >= 0 ? 0 : Math.min(...values);
  const most = Math.max(...values);
  const to = most > from ? most : from + 1;
  const scale = scaleLinear().domain([from, to]).nice(4).range([MARGIN, 100 - MARGIN]);
  const [first = 0, last = 1] = scale.domain();
  return {
    own: scale(own),
    others: scale(others),
    interval: ends && [scale(Math.max(ends[0], first)), scale(Math.max(first, Math.min(ends[1], last)))],
    zero: first <= 0 && last >= 0 ? scale(0) : null,
    ticks: scale.ticks(4).map((value) => ({ at: scale(value), value })),
  };
}
