/** Requests to the server that this page came from; there are no others. */

import { RequestError } from './error';
import { storedKey } from './key';
import { EventParser } from './sse';

/** A message of a stream, with its data read. */
export interface StreamEvent {
  event: string;
  data: unknown;
}

let onKeyNeeded: () => void = () => {};

/** Sets what happens if the server asks for a key. */
export function whenKeyNeeded(action: () => void): void {
  onKeyNeeded = action;
}

/** Makes a path of fixed parts and encoded ones: path`/api/users/${id}`. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce((made, part, i) => made + encodeURIComponent(String(values[i - 1])) + part);
}

/** Adds parameters to a path; those without value are left out. */
export function withQuery(base: string, query: Record<string, string | number | undefined | null>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
  return text ? `${base}?${text}` : base;
}

async function answer(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  const key = storedKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const init: RequestInit = { method, headers, credentials: 'omit', cache: 'no-store' };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(address, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError(0, '', 'unreachable');
  }
  if (response.ok) return response;
  if (response.status === 401) onKeyNeeded();
  throw RequestError.of(response.status, await response.json().catch(() => null));
}

export async function get<T>(address: string, signal?: AbortSignal): Promise<T> {
  return (await (await answer('GET', address, undefined, signal)).json()) as T;
}

export async function send<T>(method: 'POST' | 'PATCH' | 'DELETE', address: string, body?: unknown): Promise<T> {
  return (await (await answer(method, address, body)).json()) as T;
}

/** The body of an answer as a file, for saving. */
export async function blob(address: string): Promise<Blob> {
  return (await answer('GET', address)).blob();
}

/** Sends a request and gives the events of its answer as they come. */
export async function* stream(address: string, body: unknown, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  const response = await answer('POST', address, body, signal);
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    const piece = done ? `${decoder.decode()}\n\n` : decoder.decode(value, { stream: true });
    for (const { event, data } of parser.push(piece)) {
      if (data !== '[DONE]') yield { event, data: JSON.parse(data) };
    }
    if (done) return;
  }
}
