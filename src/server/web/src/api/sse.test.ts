import { expect, test } from 'vitest';

import { EventParser } from './sse';

const STREAM = ': ping\n\nevent: text\ndata: {"piece":"a"}\n\nevent: why\r\ndata: 1\r\ndata: 2\r\n\r\ndata:x\n\nevent: none\n\n';
const EVENTS = [
  { event: 'text', data: '{"piece":"a"}' },
  { event: 'why', data: '1\n2' },
  { event: 'message', data: 'x' },
];

test('a stream gives the same events wherever it is cut', () => {
  for (let size = 1; size <= STREAM.length; size += 1) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    expect(events, `pieces of ${size}`).toEqual(EVENTS);
  }
});

test('an unfinished message is not given', () => {
  const parser = new EventParser();
  expect(parser.push('data: half')).toEqual([]);
  expect(parser.push('\n')).toEqual([]);
  expect(parser.push('\n')).toEqual([{ event: 'message', data: 'half' }]);
});
