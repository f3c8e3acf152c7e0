import { expect, test } from 'vitest';

import { path, withQuery } from './request';

test('names are encoded in paths and parameters', () => {
  expect(path`/api/users/${'a/b?c#d'}/profile`).toBe('/api/users/a%2Fb%3Fc%23d/profile');
  expect(withQuery('/api/users', { query: 'a&b=c', limit: 5, cell: null, k: undefined })).toBe('/api/users?query=a%26b%3Dc&limit=5');
  expect(withQuery('/api/users', { query: '' })).toBe('/api/users');
});
