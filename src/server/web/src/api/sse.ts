/** One message of a stream of server-sent events. */
export interface ServerEvent {
  event: string;
  data: string;
}

/** Collects pieces of a stream and gives the messages that are complete. */
export class EventParser {
  private rest = '';

  push(piece: string): ServerEvent[] {
    const text = (this.rest + piece).replace(/\r\n/g, '\n');
    // A carriage return at the end may be the first half of a line break.
    const held = text.endsWith('\r') ? '\r' : '';
    const blocks = (held ? text.slice(0, -1) : text).split('\n\n');
    this.rest = (blocks.pop() ?? '') + held;
    return blocks.map(message).filter((event) => event !== null);
  }
}

function message(block: string): ServerEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') event = value;
    if (name === 'data') data.push(value);
  }
  return data.length > 0 ? { event, data: data.join('\n') } : null;
}
