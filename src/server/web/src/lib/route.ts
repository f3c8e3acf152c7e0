/** Addresses of the views, in the fragment: `#/people/marta?tab=texts`. */

export type ViewName =
  | 'people' | 'person' | 'items' | 'item' | 'write' | 'compare' | 'guess' | 'figures' | 'unknown';

export interface Route {
  view: ViewName;
  /** The person, item or report that the address names. */
  id: string | null;
  query: URLSearchParams;
}

const LISTS: Record<string, { list: ViewName; one: ViewName | null }> = {
  '': { list: 'people', one: null },
  people: { list: 'people', one: 'person' },
  items: { list: 'items', one: 'item' },
  write: { list: 'write', one: null },
  compare: { list: 'compare', one: null },
  guess: { list: 'guess', one: null },
  figures: { list: 'figures', one: 'figures' },
};

export function parseRoute(hash: string): Route {
  const [place = '', query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const [name = '', id, ...more] = place.split('/');
  const known = Object.hasOwn(LISTS, name) ? LISTS[name] : undefined;
  const unknown: Route = { view: 'unknown', id: null, query: new URLSearchParams() };
  if (!known || more.length > 0 || (id && !known.one)) return unknown;
  try {
    return {
      view: id ? (known.one ?? known.list) : known.list,
      id: id ? decodeURIComponent(id) : null,
      query: new URLSearchParams(query),
    };
  } catch {
    return unknown;
  }
}

/** The address of a view, for links. */
export function link(
  place: 'people' | 'items' | 'write' | 'compare' | 'guess' | 'figures',
  id?: string | null,
  query: Record<string, string | null | undefined> = {},
): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const text = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return `#/${place}${id ? `/${encodeURIComponent(id)}` : ''}${text ? `?${text}` : ''}`;
}
