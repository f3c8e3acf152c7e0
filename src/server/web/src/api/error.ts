/** Error of a request, with the server's own sentence. */
export class RequestError extends Error {
  /** HTTP status; 0 if no answer came. */
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;

  constructor(status: number, message: string, code: string | null = null, param: string | null = null) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.code = code;
    this.param = param;
  }

  /** The error that a body `{"error": {...}}` tells. */
  static of(status: number, body: unknown): RequestError {
    const error = (body as { error?: Record<string, unknown> } | null)?.error;
    const text = (value: unknown) => (typeof value === 'string' ? value : null);
    const message = text(error?.message) ?? `HTTP ${status}`;
    return new RequestError(status, message, text(error?.code), text(error?.param));
  }
}

/** Whether a request was given up by this page. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
