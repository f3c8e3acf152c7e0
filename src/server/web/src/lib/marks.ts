/** Texts cut into pieces with and without a mark. */

export interface Piece {
  text: string;
  isMarked: boolean;
}

/** Counted words by the name of the measure, where the text shows them. */
const PATTERNS: Record<string, RegExp> = {
  exclamations: /!+/gu,
  exclamation_runs: /!{2,}/gu,
  questions: /\?+/gu,
  ellipses: /\.{3,}|…/gu,
  dashes: /\s[-–—]+\s|—/gu,
  parentheses: /\([^()]*\)/gu,
  quotes: /["“„«][^"“”„«»]*["”“»]/gu,
  semicolons: /;/gu,
  commas: /,/gu,
  capitals: /(?<![\p{L}\p{N}])\p{Lu}{2,}(?![\p{L}\p{N}])/gu,
  lower_starts: /(?:^|(?<=[.!?]\s+))\p{Ll}[\p{L}’']*/gu,
  lower_i: /(?<![\p{L}\p{N}'’])i(?![\p{L}\p{N}'’])/gu,
  contractions: /\p{L}+['’]\p{L}+/gu,
  emoji: /\p{Extended_Pictographic}\uFE0F?/gu,
  numbers: /\p{N}+(?:[.,]\p{N}+)*/gu,
};

const ESCAPED = /[\\^$.*+?()[\]{}|]/g;

/** Spans of a text that a statement counts, by its key, as UTF-16 offsets. */
export function countedSpans(text: string, key: string): [number, number][] {
  const colon = key.indexOf(':');
  const name = colon < 0 ? key : key.slice(0, colon);
  const phrase = colon < 0 ? '' : key.slice(colon + 1);
  let pattern = PATTERNS[name];
  if (phrase) {
    const words = phrase.split(/\s+/).map((word) => word.replace(ESCAPED, '\\$&'));
    pattern = new RegExp(`(?<![\\p{L}\\p{N}])${words.join('\\s+')}(?![\\p{L}\\p{N}])`, 'giu');
  }
  if (!pattern) return [];
  return [...text.matchAll(pattern)].map((match) => [match.index, match.index + match[0].length]);
}

/** Spans in code points as UTF-16 offsets. */
export function utf16Spans(text: string, spans: [number, number][]): [number, number][] {
  const starts = [0];
  for (const character of text) starts.push((starts[starts.length - 1] ?? 0) + character.length);
  const at = (point: number) => starts[Math.max(0, Math.min(point, starts.length - 1))] ?? 0;
  return spans.map(([start, end]) => [at(start), at(end)]);
}

/** Cuts a text at spans; spans that overlap count as one, parts outside the text are left out. */
export function pieces(text: string, spans: [number, number][]): Piece[] {
  const sorted = spans
    .map(([start, end]): [number, number] => [Math.max(0, start), Math.min(text.length, end)])
    .filter(([start, end]) => start < end)
    .sort((a, b) => a[0] - b[0]);
  const made: Piece[] = [];
  let at = 0;
  for (const [start, end] of sorted) {
    const from = Math.max(start, at);
    if (from >= end) continue;
    if (from > at) made.push({ text: text.slice(at, from), isMarked: false });
    const last = made[made.length - 1];
    if (last?.isMarked && from === at) last.text += text.slice(from, end);
    else made.push({ text: text.slice(from, end), isMarked: true });
    at = end;
  }
  if (at < text.length) made.push({ text: text.slice(at), isMarked: false });
  return made;
}

const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*/gu;

/** Words that say little about a text, left out when shared words are marked. */
const COMMON = new Set(
  ('a an and are as at be but by for from had has have he her his i if in is it its me my no not of on or our ' +
    'she so that the their them then there they this to too was we were what when which who will with would you ' +
    'your aber als am an auch auf aus bei bin bis da das dass dem den der des die doch du ein eine einem einen ' +
    'einer er es für hat haben ich ihr im in ist ja kein man mit nach nicht noch nur oder sie sind so um und ' +
    'uns vom von war was wenn wie wir zu zum zur').split(' '),
);

/** Spans of the words of `text` that `other` has too; words of little content are left out. */
export function sharedWords(text: string, other: string): [number, number][] {
  const words = new Set([...other.matchAll(WORD)].map((match) => match[0].toLowerCase()));
  return [...text.matchAll(WORD)]
    .filter((match) => {
      const word = match[0].toLowerCase();
      return word.length > 1 && !COMMON.has(word) && words.has(word);
    })
    .map((match) => [match.index, match.index + match[0].length]);
}
