/** The numbers by kind in an answer about what goes: those of `counts` or `removed`, else its own; without zeros. */
export function counts(answer: Record<string, unknown>): [string, number][] {
  for (const name of ['removed', 'counts', 'goes', 'would_remove']) {
    const inner = answer[name];
    if (inner && typeof inner === 'object' && !Array.isArray(inner)) return counts(inner as Record<string, unknown>);
  }
  return Object.entries(answer).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0);
}
