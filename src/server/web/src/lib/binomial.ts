/** Exact intervals of a share (Clopper and Pearson, 1934), by bisection of the binomial tail. */

/** Probability of at least `k` of `n` at probability `p` each. */
export function tail(k: number, n: number, p: number): number {
  if (k <= 0) return 1;
  if (k > n) return 0;
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  // Terms by logarithms, from the first one on.
  let logTerm = 0;
  for (let i = 1; i <= k; i += 1) logTerm += Math.log(((n - k + i) / i) * p);
  logTerm += (n - k) * Math.log1p(-p);
  let term = Math.exp(logTerm);
  let sum = term;
  for (let i = k; i < n; i += 1) {
    term *= ((n - i) / (i + 1)) * (p / (1 - p));
    sum += term;
  }
  return Math.min(1, sum);
}

function bisect(isBelow: (p: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (isBelow(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The interval of the share of `right` in `of` with this confidence; the whole range if `of` is 0. */
export function exactInterval(right: number, of: number, confidence = 0.95): [number, number] {
  const half = (1 - confidence) / 2;
  if (of <= 0) return [0, 1];
  const low = right <= 0 ? 0 : bisect((p) => tail(right, of, p) < half);
  const high = right >= of ? 1 : bisect((p) => 1 - tail(right + 1, of, p) > half);
  return [low, high];
}
