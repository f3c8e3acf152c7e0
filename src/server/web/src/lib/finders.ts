/** People and items that a field offers while a name is typed. */

import { get, path, withQuery } from '../api/request';
import type { Items, Item, ItemTexts, Users } from '../api/types';

const LIMIT = 50;

export async function findUsers(query: string, signal: AbortSignal) {
  const found = await get<Users>(withQuery('/api/users', { query, limit: LIMIT }), signal);
  return found.users.map((user) => ({ id: user.user, label: user.user, note: String(user.reviews) }));
}

export async function findItems(query: string, signal: AbortSignal) {
  const found = await get<Items>(withQuery('/api/items', { query, limit: LIMIT }), signal);
  return found.items.map((item) => ({ id: item.item, label: item.title || item.item, note: String(item.reviews) }));
}

/** An item by its id. */
export async function itemOf(id: string, signal?: AbortSignal): Promise<Item> {
  return (await get<ItemTexts>(path`/api/items/${id}`, signal)).item;
}
