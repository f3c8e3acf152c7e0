import { describe, expect, test } from 'vitest';

import { countedSpans, pieces, sharedWords, utf16Spans } from './marks';

const marked = (text: string, spans: [number, number][]) =>
  pieces(text, spans).filter((piece) => piece.isMarked).map((piece) => piece.text);
const counted = (text: string, key: string) => marked(text, countedSpans(text, key));

describe('counted words', () => {
  test('of a phrase, in any case, as whole words', () => {
    expect(counted('So it goes. And so  it goes, so it goesx.', 'phrase:so it goes')).toEqual(['So it goes', 'so  it goes']);
  });
  test('of a phrase with signs of patterns', () => {
    expect(counted('a (b) c.*', 'phrase:(b) c.*')).toEqual(['(b) c.*']);
  });
  test('of measures', () => {
    expect(counted('Fine!! LOVE it!', 'exclamation_runs')).toEqual(['!!']);
    expect(counted('Fine!! LOVE it! I', 'capitals')).toEqual(['LOVE']);
    expect(counted("it's Ölten’s wives'", 'contractions')).toEqual(["it's", 'Ölten’s']);
    expect(counted('meh. no. Yes', 'lower_starts')).toEqual(['meh', 'no']);
    expect(counted('ok 👍 so', 'emoji')).toEqual(['👍']);
  });
  test('of an unknown measure are none', () => {
    expect(counted('anything', 'lexical_variety')).toEqual([]);
    expect(counted('anything', 'constructor')).toEqual([]);
  });
});

describe('pieces', () => {
  test('together are the text, whatever the spans', () => {
    const text = 'abcdefgh';
    for (const spans of [[], [[2, 4], [3, 6]], [[-5, 2], [7, 99]], [[4, 4], [6, 2]], [[2, 4], [4, 5]]] as [number, number][][]) {
      expect(pieces(text, spans).map((piece) => piece.text).join('')).toBe(text);
    }
  });
  test('join marks that touch or overlap', () => {
    expect(marked('abcdefgh', [[3, 6], [2, 4], [6, 7]])).toEqual(['cdefg']);
  });
});

test('spans in code points become offsets of this page', () => {
  expect(utf16Spans('👍ab', [[1, 2], [0, 9]])).toEqual([[2, 3], [0, 4]]);
});

test('shared words are words of content, in any case', () => {
  const text = 'The Kettle was a fine kettle, and I rang them.';
  expect(marked(text, sharedWords(text, 'a KETTLE was the thing; they rang'))).toEqual(['Kettle', 'kettle', 'rang']);
});
