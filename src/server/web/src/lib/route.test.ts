import { expect, test } from 'vitest';

import { link, parseRoute } from './route';

test('addresses name views', () => {
  const views = ['', '#', '#/', '#/people', '#/items', '#/write?user=a', '#/figures/x'].map((hash) => parseRoute(hash).view);
  expect(views).toEqual(['people', 'people', 'people', 'people', 'items', 'write', 'figures']);
  expect(parseRoute('#/people/marta')).toMatchObject({ view: 'person', id: 'marta' });
});

test('addresses of nothing are told', () => {
  for (const hash of ['#/nothing', '#/people/a/b', '#/write/a', '#/people/%ff', '#/constructor', '#/__proto__']) {
    expect(parseRoute(hash).view, hash).toBe('unknown');
  }
});

test('any name survives an address', () => {
  for (const name of ['a/b?c#d %2F', '..', '<b>&amp;"', '\u202Eתודה', '%', '+ +', '👍']) {
    expect(parseRoute(link('people', name)).id).toBe(name);
    expect(parseRoute(link('write', null, { user: name, item: null })).query.get('user')).toBe(name);
  }
});
