/** The tokens of a written text as the page shows them. */

import type { Token } from '../api/types';

/** How strongly the person's texts speak for (positive) or against (negative) a token. */
export type Step = -2 | -1 | 0 | 1 | 2;

/** Borders of the steps: natural logarithms of 1.5 and of 5. */
export const CLEAR = Math.log(1.5);
export const STRONG = Math.log(5);

/** A piece of the text that is shown and pointed at as a whole. */
export interface Span {
  text: string;
  token: Token;
  step: Step;
}

export function stepOf(user: number | null | undefined): Step {
  if (user === null || user === undefined || !Number.isFinite(user)) return 0;
  const size = Math.abs(user) >= STRONG ? 2 : Math.abs(user) >= CLEAR ? 1 : 0;
  return (user < 0 && size > 0 ? -size : size) as Step;
}

/**
 * Joins tokens to whole characters: those whose bytes end within a character are shown with the tokens
 * that complete it, and their numbers are added.
 */
export function spans(tokens: Token[]): Span[] {
  const made: Span[] = [];
  let open: Token[] = [];
  for (const token of tokens) {
    open.push(token);
    const text = textOf(open);
    if (text !== null) {
      made.push(span(open, text));
      open = [];
    }
  }
  if (open.length > 0) made.push(span(open, open.map((token) => token.text).join('')));
  return made;
}

/** The part of a text that has no spans yet, while it is written. */
export function restOf(text: string, made: Span[]): string {
  const covered = made.map((one) => one.text).join('').trimStart();
  return text.startsWith(covered) ? text.slice(covered.length) : '';
}

function span(tokens: Token[], text: string): Span {
  const first = tokens[0] as Token;
  const sum = (value: (token: Token) => number | null) =>
    tokens.every((token) => value(token) === null) ? null : tokens.reduce((all, t) => all + (value(t) ?? 0), 0);
  const token: Token =
    tokens.length === 1
      ? first
      : { ...first, text, logprob: sum((t) => t.logprob) ?? 0, user: sum((t) => t.user), steer: sum((t) => t.steer) };
  return { text, token, step: stepOf(token.user) };
}

/** The text of some tokens, `null` if it ends within a character. */
function textOf(tokens: Token[]): string | null {
  if (tokens.every((token) => !token.bytes)) return tokens.map((token) => token.text).join('');
  const encoder = new TextEncoder();
  const bytes = tokens.flatMap((token) => token.bytes ?? [...encoder.encode(token.text)]);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
  } catch {
    return tokens.length < 8 ? null : tokens.map((token) => token.text).join('');
  }
}

/** How many times as likely, or as unlikely, a token became, from a difference of logarithms. */
export function factor(logarithm: number): number {
  return Math.exp(Math.min(Math.abs(logarithm), 20));
}
